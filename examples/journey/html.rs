//! Draws requests as a page, without scripts and without the network.

use std::fmt::Write;

use crate::drawing::{Drawing, Request};
use crate::legend::{BARS, INTRODUCTION, MARKS, SPAN, TITLE, meaning};
use crate::markup::{colours, escaped};
use crate::svg;
use crate::timeline::Scale;

/// One column on a telephone, more on a wide screen.
const STYLE: &str = "\
body{margin:0;padding:1rem;line-height:1.45;
font-family:system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}
main,.legend{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));gap:1.5rem 2rem}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:0}
p,dl,dd{margin:0;overflow-wrap:anywhere}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 .75rem}
dt{font-weight:600}
section{max-width:36rem}
header{margin-bottom:1.5rem}.legend{margin-top:.75rem;gap:.75rem 2rem}.legend dl{align-content:start}
svg{display:block;width:100%;height:auto}
";

/// Returns the page.
pub(crate) fn page(drawing: &Drawing) -> String {
    let requests = drawing.requests.iter();
    let sections: String = requests.map(|each| section(each, drawing.scale)).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{TITLE}</title>\n\
         <style>\n{}{}{STYLE}</style>\n</head>\n\
         <body class=\"ground text\">\n{}<main>\n{sections}</main>\n</body>\n</html>\n",
        colours(),
        svg::STYLE,
        legend(),
    )
}

fn legend() -> String {
    let bars = BARS.iter().map(|(label, about)| {
        let colour = if *label == SPAN { "text" } else { *label };
        entry(colour, label, about)
    });
    let marks = MARKS
        .iter()
        .map(|(letter, event, about)| entry("text", &letter.to_string(), &meaning(event, about)));
    format!(
        "<header>\n<h1>{TITLE}</h1>\n<p>{INTRODUCTION}</p>\n\
         <div class=\"legend\">\n<dl>\n{}</dl>\n<dl>\n{}</dl>\n</div>\n</header>\n",
        bars.collect::<String>(),
        marks.collect::<String>(),
    )
}

fn section(request: &Request, scale: Scale) -> String {
    let mut section = format!(
        "<section>\n<h2>{}</h2>\n<p class=\"aside\">{}</p>\n{}<dl>\n",
        escaped(request.name),
        escaped(&request.target),
        svg::bars_alone(request, scale),
    );
    section.push_str(&entry("client", "client", &request.seen));
    section.push_str(&entry(svg::class(request.tone), "span", &request.outcome));
    section.push_str(&entry("aside", "times", &svg::times(request)));
    section.push_str("</dl>\n</section>\n");
    section
}

/// Returns a term and its description.
fn entry(colour: &str, term: &str, description: &str) -> String {
    let mut entry = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        entry,
        "<dt class=\"{colour}\">{}</dt><dd>{}</dd>",
        escaped(term),
        escaped(description)
    );
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::samples;
    use crate::markup::assert_well_formed;

    fn sample() -> String {
        page(&Drawing::of_requests(vec![
            samples::request(),
            samples::request(),
        ]))
    }

    #[test]
    fn page_is_well_formed_with_any_text() {
        let page = sample();
        assert_well_formed(&page);
        let name = "<h2>a &lt; b &amp; &quot;c&quot;</h2>";
        assert_eq!(page.matches(name).count(), 2, "{page}");
    }

    #[test]
    fn every_request_has_its_picture() {
        let page = sample();
        assert_eq!(page.matches("<svg ").count(), 2);
        assert_eq!(page.matches("height=\"7\"").count(), 6);
        assert_eq!(
            page.matches("role=\"img\" aria-label=\"a &lt; b").count(),
            2
        );
    }

    #[test]
    fn page_has_both_themes_and_fits_telephones() {
        let page = sample();
        for part in [
            "@media (prefers-color-scheme:dark)",
            "name=\"color-scheme\" content=\"light dark\"",
            "width=device-width",
            "minmax(min(100%,24rem),1fr)",
        ] {
            assert!(page.contains(part), "no {part}");
        }
    }

    #[test]
    fn page_has_no_scripts_and_loads_nothing() {
        let page = sample();
        for part in [
            "<script", "http:", "https:", "url(", "src=", "href=", "@import",
        ] {
            assert!(!page.contains(part), "{part}");
        }
    }
}
