//! Draws requests as SVG. Text stays text, so that it can be selected and searched.

use std::fmt::Write;

use crate::drawing::{Drawing, Request};
use crate::legend::{BARS, INTRODUCTION, MARKS, SPAN, TITLE, meaning};
use crate::markup::{colours, escaped, wrapped};
use crate::style::Tone;
use crate::timeline::{Bar, Scale, millis, spread};

/// The width, which a telephone shows nearly in full size.
pub(crate) const WIDTH: usize = 400;
const MARGIN: usize = 12;
/// The bars' left edge, and their maximal width.
const LEFT: usize = 58;
const BARS_WIDTH: usize = WIDTH - LEFT - MARGIN;
/// The height of a bar with the letters above it, and of the ruler.
const BAR: usize = 25;
const RULER: usize = 18;
/// How far a letter stands out at the end of a bar.
const OVERHANG: usize = 6;
/// The distance of two letters.
const LETTER: usize = 10;
const LINE: usize = 17;
/// The width of a character in a wide font.
const CHARACTER: usize = 7;

/// The style of everything but the colours.
pub(crate) const STYLE: &str = "\
svg text{font:12px system-ui,-apple-system,\"Segoe UI\",Roboto,\"DejaVu Sans\",sans-serif}
svg .name{font-size:14px;font-weight:600}
svg .letter,svg .outcome{font-weight:600}
svg .letter,svg .number{font-size:11px}
svg .number,svg .letter{text-anchor:middle}
svg .grid{stroke-width:1}
";

/// Returns a picture of all requests, with the legend below them.
pub(crate) fn picture(drawing: &Drawing) -> String {
    let mut body = String::new();
    let mut top = MARGIN;
    for request in &drawing.requests {
        top = described_request(&mut body, request, drawing.scale, top) + LINE;
    }
    let height = legend(&mut body, top) + MARGIN;
    let description = drawing.requests.iter().map(description);
    let description: Vec<_> = description.collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"title description\">\n\
         <title id=\"title\">{TITLE}</title>\n\
         <desc id=\"description\">{}</desc>\n\
         <style>\n{}{STYLE}</style>\n\
         <rect class=\"ground\" width=\"100%\" height=\"100%\" rx=\"6\"/>\n{body}</svg>\n",
        escaped(&description.join(" ")),
        colours(),
    )
}

/// Returns the bars of one request, for a page that has the text around them.
pub(crate) fn bars_alone(request: &Request, scale: Scale) -> String {
    let mut body = String::new();
    let height = bars(&mut body, request, scale, 0);
    format!(
        "<svg viewBox=\"{} 0 {} {height}\" role=\"img\" aria-label=\"{}\">\n{body}</svg>\n",
        MARGIN - OVERHANG,
        WIDTH - 2 * (MARGIN - OVERHANG),
        escaped(&description(request)),
    )
}

/// Returns the request in words, for those who do not see the picture.
fn description(request: &Request) -> String {
    let marks = request.marks().into_iter();
    let marks: Vec<_> = marks
        .map(|mark| format!("{} at {}", mark.name, millis(mark.at)))
        .collect();
    format!(
        "{}: {}. Client: {}. Span: {}. Milliseconds: {}.",
        request.name,
        request.target,
        request.seen,
        request.outcome,
        marks.join(", "),
    )
}

/// Draws a request with its texts below `top`. Returns where it ends.
fn described_request(body: &mut String, request: &Request, scale: Scale, top: usize) -> usize {
    let mut top = text(body, "text name", request.name, MARGIN, top);
    top = text(body, "aside", &request.target, MARGIN, top);
    top = bars(body, request, scale, top + 4);
    let outcome = format!("{} outcome", class(request.tone));
    for (class, line) in [
        ("text", format!("Client: {}", request.seen)),
        (&*outcome, format!("Span: {}", request.outcome)),
        ("aside", times(request)),
    ] {
        top = text(body, class, &line, MARGIN, top);
    }
    top
}

/// Returns the times in one line. A letter and its time are not separated at its end.
pub(crate) fn times(request: &Request) -> String {
    let times = request.times().into_iter();
    let times: Vec<_> = times.map(|time| time.replace(' ', "\u{a0}")).collect();
    format!("{}\u{a0}ms", times.join(" · "))
}

/// Draws the bars of a request on a ruler below `top`. Returns where they end.
fn bars(body: &mut String, request: &Request, scale: Scale, top: usize) -> usize {
    let bottom = top + BAR * request.bars.len();
    for tick in scale.ticks() {
        let x = LEFT + scale.column(tick, BARS_WIDTH);
        let unit = if tick.is_zero() { " ms" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<path class=\"grid\" d=\"M{x} {top}V{bottom}\"/>\
             <text class=\"aside number\" x=\"{x}\" y=\"{}\">{}{unit}</text>",
            bottom + 12,
            tick.as_millis(),
        );
    }
    for (row, each) in request.bars.iter().enumerate() {
        bar(body, each, scale, top + BAR * row);
    }
    bottom + RULER
}

fn bar(body: &mut String, bar: &Bar, scale: Scale, top: usize) {
    let x = |at| LEFT + scale.column(at, BARS_WIDTH);
    let (from, to) = (x(bar.from), x(bar.to).max(x(bar.from) + 2));
    let (class, label) = (class(bar.tone), escaped(bar.label));
    // Writing to a string cannot fail.
    let _ = writeln!(
        body,
        "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{}\">{label}</text>\
         <rect class=\"{class}\" x=\"{from}\" y=\"{}\" width=\"{}\" height=\"7\" rx=\"2\">\
         <title>{label}: {}</title></rect>",
        top + 22,
        top + 15,
        to - from,
        escaped(&bar.note),
    );
    let moments: Vec<_> = bar.marks.iter().map(|mark| x(mark.at)).collect();
    let letters = spread(&moments, LETTER, from, to);
    for ((mark, moment), letter) in bar.marks.iter().zip(moments).zip(letters) {
        let _ = writeln!(
            body,
            "<path class=\"tick\" d=\"M{moment} {}v9\"/>\
             <text class=\"text letter\" x=\"{letter}\" y=\"{}\">{}<title>{}, {} ms</title></text>",
            top + 14,
            top + 11,
            mark.letter,
            escaped(&mark.name),
            millis(mark.at),
        );
    }
}

/// Writes the legend below `top`. Returns where it ends.
fn legend(body: &mut String, top: usize) -> usize {
    let mut top = text(body, "text outcome", "Legend", MARGIN, top);
    top = text(body, "text", INTRODUCTION, MARGIN, top);
    for (label, about) in BARS {
        let class = if label == SPAN { "text" } else { label };
        text(body, class, label, MARGIN, top);
        top = text(body, "text", about, LEFT, top);
    }
    for (letter, event, about) in MARKS {
        text(body, "text outcome", &letter.to_string(), MARGIN, top);
        top = text(body, "text", &meaning(event, about), MARGIN + 16, top);
    }
    top
}

/// Writes a text below `top`, in as many lines as it needs. Returns where it ends.
fn text(body: &mut String, class: &str, text: &str, x: usize, top: usize) -> usize {
    let mut top = top;
    for line in wrapped(text, (WIDTH - MARGIN - x) / CHARACTER) {
        // Writing to a string cannot fail.
        let _ = writeln!(
            body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{}\">{}</text>",
            top + 13,
            escaped(&line),
        );
        top += LINE;
    }
    top
}

/// Returns the class of a colour.
pub(crate) fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Heading => "text",
        Tone::Aside => "aside",
        Tone::Client => "client",
        Tone::Child => "engine",
        Tone::Good => "good",
        Tone::Doubtful => "doubtful",
        Tone::Bad => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::samples;
    use crate::markup::assert_well_formed;

    fn sample() -> Drawing {
        Drawing::of_requests(vec![samples::request(), samples::request()])
    }

    #[test]
    fn picture_is_well_formed_with_any_text() {
        let picture = picture(&sample());
        assert_well_formed(&picture);
        let name = ">a &lt; b &amp; &quot;c&quot;</text>";
        assert_eq!(picture.matches(name).count(), 2, "{picture}");
        assert_well_formed(&bars_alone(&samples::request(), sample().scale));
    }

    #[test]
    fn every_span_has_one_bar() {
        let picture = picture(&sample());
        for label in ["client", "span", "engine"] {
            let title = format!("<title>{label}: {label}'s note</title>");
            let bars = picture.matches(&title.replace('\'', "&#39;")).count();
            assert_eq!(bars, 2, "{label}");
        }
        assert_eq!(picture.matches("height=\"7\"").count(), 6);
    }

    #[test]
    fn bars_and_events_are_at_their_moments() {
        let drawn = bars_alone(&samples::request(), sample().scale);
        let x = |tenths: usize| LEFT + BARS_WIDTH * tenths / 10;
        // The span lasts from 2 to 20 of 20 ms, the end of the scale.
        let (from, to) = (x(1), x(10) - 1);
        let bar = format!("x=\"{from}\" y=\"{}\" width=\"{}\"", BAR + 15, to - from);
        assert!(drawn.contains(&bar), "no {bar} in {drawn}");
        for (event, moment) in [('R', x(2)), ('A', x(1)), ('T', x(5)), ('X', to)] {
            let line = drawn
                .lines()
                .find(|line| line.contains(&format!(">{event}<")));
            let line = line.expect("the event");
            assert!(line.contains(&format!("d=\"M{moment} ")), "{line}");
            assert!(line.contains(&format!("x=\"{moment}\"")), "{line}");
        }
    }

    #[test]
    fn crowded_letters_do_not_overlap() {
        let mut request = samples::request();
        request.bars[1] = samples::bar("span", 2, 20, &[('A', 2), ('H', 2), ('X', 20)]);
        let drawn = bars_alone(&request, sample().scale);
        let x = LEFT + BARS_WIDTH / 10;
        for (event, x) in [('A', x), ('H', x + LETTER)] {
            let text = format!("x=\"{x}\" y=\"{}\">{event}<", BAR + 11);
            assert!(drawn.contains(&text), "no {text} in {drawn}");
        }
        // Both moments are the same.
        let tick = format!("d=\"M{x} {}v9\"", BAR + 14);
        assert_eq!(drawn.matches(&tick).count(), 2, "{tick} in {drawn}");
    }

    #[test]
    fn picture_has_both_themes_and_a_description() {
        let picture = picture(&sample());
        for part in [
            "@media (prefers-color-scheme:dark)",
            "role=\"img\"",
            "<title id=\"title\">",
            "Span: ABORTED(panic), status Error. Milliseconds: event A at 2.0",
            "api.ABORTED: any other end",
        ] {
            assert!(picture.contains(part), "no {part}");
        }
    }

    /// Returns the number behind a text.
    fn number(line: &str, before: &str) -> usize {
        let (_, after) = line.split_once(before).expect("the text");
        let digits = after.split('"').next().expect("digits");
        digits.parse().expect("a number")
    }

    /// Returns the text of an element.
    fn unescaped(text: &str) -> String {
        let mut text = text.to_owned();
        for (entity, character) in [
            ("&lt;", "<"),
            ("&gt;", ">"),
            ("&quot;", "\""),
            ("&#39;", "'"),
            ("&amp;", "&"),
        ] {
            text = text.replace(entity, character);
        }
        text
    }

    #[test]
    fn nothing_is_outside_the_picture() {
        let mut request = samples::request();
        request.seen = "a \"word\" and ".repeat(30);
        let picture = picture(&Drawing::of_requests(vec![request]));
        let height = number(&picture, " height=\"");
        let lines = picture.lines().filter(|line| line.starts_with("<text "));
        let mut lowest = 0;
        for line in lines.filter(|line| !line.contains("letter")) {
            let (_, text) = line.split_once('>').expect("a tag");
            let (text, _) = text.split_once('<').expect("its end");
            let text = unescaped(text);
            let end = number(line, " x=\"") + CHARACTER * text.chars().count();
            assert!(end <= WIDTH - MARGIN, "{line}");
            lowest = lowest.max(number(line, " y=\""));
        }
        assert!(
            lowest < height && height < lowest + LINE,
            "{lowest} of {height}"
        );
    }
}
