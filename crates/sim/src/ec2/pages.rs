//! Pagination of Describe calls: MaxResults and NextToken.
//!
//! A token names the query, the time of issue and the last ID, so the server keeps no state for it.

use jiff::{SignedDuration, Timestamp};

use super::api_error::ApiError;
use super::params::Params;
use super::settings::Settings;

/// One page of an answer: where it starts and how many items it may have.
#[derive(Debug)]
pub(super) struct Page {
    after: Option<String>,
    size: usize,
    query: u64,
    issued: Timestamp,
    short: bool,
}

impl Page {
    /// Parses MaxResults, which must be from `least` to `most`, and NextToken. A request may not have both IDs and MaxResults.
    pub fn read(
        params: &Params,
        ids: &[String],
        (least, most): (u32, u32),
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let max = params.count("MaxResults")?;
        if max.is_some() && !ids.is_empty() {
            return Err(ApiError::combination("The parameter MaxResults cannot be used with IDs in the same request"));
        }
        if let Some(max) = max
            && !(least..=most).contains(&max)
        {
            return Err(ApiError::value(format!(
                "Value ( {max} ) for parameter maxResults is invalid. Expecting a value between {least} and {most}."
            )));
        }
        let query = digest(params);
        let after = params
            .get("NextToken")
            .filter(|token| !token.is_empty())
            .map(|token| continue_from(token, query, settings, now))
            .transpose()?;
        let size = usize::try_from(max.unwrap_or(most)).unwrap_or(usize::MAX);
        Ok(Self { after, size, query, issued: now, short: settings.short_pages })
    }

    /// The ID after which the page starts. None: it is the first page.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The items of the page and the next token. `all` must be in order of the IDs.
    pub fn cut<'a, T: 'a>(
        &self,
        all: impl Iterator<Item = (&'a str, T)>,
        pass: impl Fn(&T) -> bool,
    ) -> (Vec<T>, Option<String>) {
        let mut items = Vec::new();
        let mut examined = 0;
        let mut last = "";
        for (id, item) in all {
            if self.after.as_deref().is_some_and(|after| id <= after) {
                continue;
            }
            let passes = pass(&item);
            let full = if self.short { examined == self.size } else { items.len() == self.size };
            if full && (passes || self.short) {
                return (items, Some(self.token(last)));
            }
            examined += 1;
            if passes {
                items.push(item);
                last = id;
            } else if self.short {
                last = id;
            }
        }
        (items, None)
    }

    fn token(&self, last: &str) -> String {
        format!("{:x}.{:x}.{last}", self.issued.as_nanosecond(), self.query)
    }
}

fn continue_from(token: &str, query: u64, settings: &Settings, now: Timestamp) -> Result<String, ApiError> {
    let unreadable = || ApiError::new("InvalidNextToken", format!("The token '{token}' is invalid"));
    let mut parts = token.splitn(3, '.');
    let mut part = || parts.next().ok_or_else(unreadable);
    let issued = i128::from_str_radix(part()?, 16).map_err(|_| unreadable())?;
    let issued = Timestamp::from_nanosecond(issued).map_err(|_| unreadable())?;
    if u64::from_str_radix(part()?, 16).map_err(|_| unreadable())? != query {
        return Err(unreadable());
    }
    let expiry = SignedDuration::try_from(settings.page_expiry).unwrap_or(SignedDuration::MAX);
    if now.duration_since(issued) > expiry {
        return Err(ApiError::new("InvalidPaginationToken", "The pagination token has expired"));
    }
    Ok(part()?.to_owned())
}

/// Identifies a query, as a token is valid only for the query that returned it. The hash is FNV-1a.
fn digest(params: &Params) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let action = params.get("Action").unwrap_or_default().to_owned();
    for (name, value) in params.identity().into_iter().chain([("Action".to_owned(), action)]) {
        if name != "NextToken" && name != "MaxResults" {
            for byte in name.bytes().chain([b'=']).chain(value.bytes()).chain([b'&']) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    hash
}
