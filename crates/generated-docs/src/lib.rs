//! A part of a page in docs/ that is made from the code: it stands between two lines of the page. A test compares the part with the
//! code, or writes it if the environment variable `MULTI_ENI_UPDATE_DOCS` is set. What the part says is up to the caller.

use std::path::{Path, PathBuf};

#[cfg(test)]
mod reason_tables;

/// The environment variable with which the tests write the pages.
const UPDATE: &str = "MULTI_ENI_UPDATE_DOCS";

/// The line after the part.
pub const END: &str = "<!-- end of the table -->\n";

/// Compares the part of a page with `new`, or writes it. `page`: its path below the repository. `begin`: the line before the part, with
/// its line break.
///
/// # Errors
/// What is wrong, with the name of the page.
pub fn compare_or_write(page: &str, begin: &str, new: &str) -> Result<(), String> {
    let path = path_of(page);
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{page}: {error}"))?;
    let whole = with_part(&text, begin, new).map_err(|what| format!("{page} {what}"))?;
    if std::env::var_os(UPDATE).is_some() {
        return std::fs::write(&path, whole).map_err(|error| format!("{page}: {error}"));
    }
    if text == whole {
        Ok(())
    } else {
        Err(format!("{page} differs from the code: run the command of the line {begin:?}"))
    }
}

/// The page with `new` as its part.
fn with_part(page: &str, begin: &str, new: &str) -> Result<String, String> {
    let (head, rest) = page.split_once(begin).ok_or_else(|| format!("has no line {begin:?}"))?;
    let (_, tail) = rest.split_once(END).ok_or_else(|| format!("has no line {END:?} after {begin:?}"))?;
    Ok(format!("{head}{begin}{new}{END}{tail}"))
}

fn path_of(page: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- made -->\n";

    #[test]
    fn only_the_part_changes() {
        let page = format!("head\n{BEGIN}old\n{END}tail\n");
        assert_eq!(with_part(&page, BEGIN, "new\n"), Ok(format!("head\n{BEGIN}new\n{END}tail\n")));
        assert_eq!(with_part(&page, BEGIN, "old\n"), Ok(page));
    }

    #[test]
    fn a_page_without_the_lines_is_an_error() {
        let without_end = with_part(&format!("{END}{BEGIN}old\n"), BEGIN, "new\n");
        assert!(without_end.unwrap_err().contains("end of the table"));
        assert!(with_part(END, BEGIN, "new\n").unwrap_err().contains("made"));
        assert!(compare_or_write("docs/none.md", BEGIN, "new\n").unwrap_err().starts_with("docs/none.md: "));
    }
}
