//! Writes the pictures to files.

use std::fs;
use std::io;
use std::path::Path;

use crate::args::Options;
use crate::drawing::Drawing;
use crate::{html, svg};

/// Writes the files that the options name.
///
/// # Errors
///
/// One line with the fault and its remedy.
pub(crate) fn write_pictures(options: &Options, drawing: &Drawing) -> io::Result<()> {
    if let Some(path) = &options.svg {
        write(path, &svg::picture(drawing))?;
    }
    if let Some(path) = &options.html {
        write(path, &html::page(drawing))?;
    }
    Ok(())
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    fs::write(path, content).map_err(|error| {
        io::Error::other(format!(
            "{} cannot be written: {error}; give a file in a folder that exists and is writable",
            path.display(),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::samples;

    fn sample() -> Drawing {
        Drawing::of_requests(vec![samples::request()])
    }

    #[test]
    fn named_files_are_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options {
            svg: Some(folder.path().join("a.svg")),
            html: Some(folder.path().join("a.html")),
            ..Options::default()
        };
        write_pictures(&options, &sample()).expect("written");
        let read = |name| fs::read_to_string(folder.path().join(name)).expect("the file");
        assert_eq!(read("a.svg"), svg::picture(&sample()));
        assert_eq!(read("a.html"), html::page(&sample()));
    }

    #[test]
    fn file_that_cannot_be_written_gives_one_line_of_error() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["missing/a.svg", ""] {
            let options = Options {
                svg: Some(folder.path().join(name)),
                ..Options::default()
            };
            let error = write_pictures(&options, &sample()).expect_err("not written");
            let error = error.to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
            assert!(error.contains("cannot be written"), "{error}");
            assert!(
                error.contains("; give a file in a folder that exists"),
                "{error}"
            );
        }
    }
}
