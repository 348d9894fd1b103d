//! Cuts out of an answer the items that the cache holds as they are, before the SDK parses it. What is cut out is read from the
//! cache, so a reader of the answer sees all ENIs, each with its fields, in both cases.

use super::items::{self, Digest, Keys};
use crate::ec2::Ec2;
use crate::lock::lock;
use aws_sdk_ec2::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_types::body::SdkBody;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame};
use multi_eni_api::ids::EniId;
use multi_eni_plan::observed::ObservedEni;
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// The list of ENIs in an answer of DescribeNetworkInterfaces.
const LIST: &str = "networkInterfaceSet";
/// The first element of its items.
const ID: &str = "networkInterfaceId";

/// What an answer had, apart from what the SDK parsed.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// The ENIs that were cut out, as the cache holds them.
    pub unchanged: Vec<ObservedEni>,
    /// The digests of all items that have one.
    pub digests: Vec<(EniId, Digest)>,
}

/// Rereads the answer of one call.
#[derive(Clone)]
pub(crate) struct Reread {
    ec2: Ec2,
    taken: Arc<Mutex<Taken>>,
}

impl fmt::Debug for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reread").finish_non_exhaustive()
    }
}

impl Reread {
    /// For the next call of this handle.
    pub fn new(ec2: &Ec2) -> Self {
        Self { ec2: ec2.clone(), taken: Arc::default() }
    }

    /// What the last answer had. It is there when the SDK has parsed the answer.
    pub fn take(&self) -> Taken {
        std::mem::take(&mut *lock(&self.taken))
    }

    fn cut(&self, answer: Bytes) -> Bytes {
        // One ENI at a time: decisions wait for this lock.
        let holds = |id: &EniId, digest| lock(&self.ec2.inner.cache).as_listed(id, digest);
        let (rest, taken) = cut(answer, &self.ec2.inner.digest_keys, holds);
        *lock(&self.taken) = taken;
        rest
    }
}

impl Intercept for Reread {
    fn name(&self) -> &'static str {
        "MultiEniReread"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let answer = std::mem::replace(response.body_mut(), SdkBody::taken());
            let whole = Whole { answer, so_far: Some(BytesMut::new()), reread: self.clone() };
            *response.body_mut() = SdkBody::from_body_1_x(whole);
        }
        Ok(())
    }
}

/// What is left of the answer when the items that the cache `holds` are cut out.
fn cut(answer: Bytes, keys: &Keys, holds: impl Fn(&EniId, Digest) -> Option<ObservedEni>) -> (Bytes, Taken) {
    let mut taken = Taken::default();
    let Some(items) = items::of_list(&answer, LIST) else { return (answer, taken) };
    let read = |item: &Range<usize>| {
        let text = &answer[item.clone()];
        items::first(text, ID).and_then(EniId::observed).zip(keys.digest(text))
    };
    let known: Vec<(Range<usize>, EniId, Digest)> =
        items.into_iter().filter_map(|item| read(&item).map(|(id, digest)| (item, id, digest))).collect();
    let ids: BTreeSet<&EniId> = known.iter().map(|(_, id, _)| id).collect();
    if ids.len() < known.len() {
        // It shows an ENI twice, and the later item counts: the order must stay.
        return (answer, taken);
    }
    let (mut rest, mut from) = (BytesMut::new(), 0);
    for (item, id, digest) in known {
        if let Some(held) = holds(&id, digest) {
            rest.extend_from_slice(&answer[from..item.start]);
            from = item.end;
            taken.unchanged.push(held);
        }
        taken.digests.push((id, digest));
    }
    if from == 0 {
        return (answer, taken);
    }
    rest.extend_from_slice(&answer[from..]);
    (rest.freeze(), taken)
}

/// The body of an answer that is received as a whole and then cut.
struct Whole {
    answer: SdkBody,
    /// What was received. None: it was handed on.
    so_far: Option<BytesMut>,
    reread: Reread,
}

impl Body for Whole {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let Some(mut so_far) = self.so_far.take() else { return Poll::Ready(None) };
            let Poll::Ready(frame) = Pin::new(&mut self.answer).poll_frame(context) else {
                self.so_far = Some(so_far);
                return Poll::Pending;
            };
            match frame {
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => {
                    // EC2 sends no trailers.
                    so_far.extend_from_slice(&frame.into_data().unwrap_or_default());
                    self.so_far = Some(so_far);
                }
                None => return Poll::Ready(Some(Ok(Frame::data(self.reread.cut(so_far.freeze()))))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert;
    use jiff::Timestamp;

    fn item(id: &str, inside: &str) -> String {
        format!("<item><networkInterfaceId>{id}</networkInterfaceId>{inside}</item>")
    }

    fn answer(items: &[String]) -> Bytes {
        format!(
            "<R><requestId>r</requestId><networkInterfaceSet>{}</networkInterfaceSet><nextToken>t</nextToken></R>",
            items.concat()
        )
        .into()
    }

    fn held(id: &EniId) -> ObservedEni {
        let eni = aws_sdk_ec2::types::NetworkInterface::builder().network_interface_id(id.as_str()).build();
        convert::eni(&eni, Timestamp::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn the_parser_gets_the_items_that_are_not_held() {
        let keys = Keys::default();
        let (a, b, c) = (item("eni-0a", "<x/>"), item("eni-0b", "<x/>"), item("eni-0c", "<x/>"));
        let nameless = "<item><status>in-use</status></item>".to_owned();
        let all = answer(&[a.clone(), b.clone(), nameless.clone(), c.clone()]);

        let (rest, first) = cut(all.clone(), &keys, |_, _| None);
        assert_eq!((rest, first.unchanged.len()), (all.clone(), 0));
        let ids: Vec<&str> = first.digests.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["eni-0a", "eni-0b", "eni-0c"]);

        let known = |id: &EniId, digest| first.digests.contains(&(id.clone(), digest)).then(|| held(id));
        let (rest, again) = cut(all.clone(), &keys, known);
        assert_eq!(rest, answer(std::slice::from_ref(&nameless)));
        assert_eq!(again.unchanged, first.digests.iter().map(|(id, _)| held(id)).collect::<Vec<_>>());
        assert_eq!(again.digests, first.digests);

        // One changed, and one is new.
        let (changed, new) = (item("eni-0b", "<y/>"), item("eni-0d", "<x/>"));
        let (rest, then) = cut(answer(&[a, changed.clone(), new.clone(), nameless.clone(), c]), &keys, known);
        assert_eq!(rest, answer(&[changed, new, nameless]));
        assert_eq!((then.unchanged.len(), then.digests.len()), (2, 4));
    }

    #[test]
    fn an_answer_that_shows_an_eni_twice_is_parsed_as_it_is() {
        let twice = answer(&[item("eni-0a", "<x/>"), item("eni-0b", "<x/>"), item("eni-0a", "<y/>")]);
        let (rest, taken) = cut(twice.clone(), &Keys::default(), |id, _| Some(held(id)));
        assert_eq!((rest, taken.unchanged.len(), taken.digests.len()), (twice, 0, 0));
    }

    #[test]
    fn an_answer_in_another_form_is_parsed_as_it_is() {
        for body in
            ["", "<R><networkInterfaceSet/></R>", "<R><networkInterfaceSet><item/></networkInterfaceSet></R>", "{}"]
        {
            let (rest, taken) = cut(Bytes::from(body), &Keys::default(), |id, _| Some(held(id)));
            assert_eq!((rest, taken.unchanged.len(), taken.digests.len()), (Bytes::from(body), 0, 0));
        }
    }
}
