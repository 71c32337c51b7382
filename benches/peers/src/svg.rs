//! Draws the chart: horizontal bars in one panel per table, and the caption of the run.

use std::fmt::Write;

use crate::table::Panel;

const WIDTH: f64 = 860.0;
const NAMES: f64 = 380.0;
const ROW: f64 = 22.0;

pub fn chart(panels: &[Panel], caption: &[String]) -> String {
    let mut body = String::new();
    let mut y = 8.0;
    for panel in panels {
        y += 26.0;
        text(&mut body, 12.0, y, "t", &panel.title);
        y += 8.0;
        let widest = panel
            .bars
            .iter()
            .map(|(_, ratio)| *ratio)
            .fold(1.0, f64::max);
        let scale = (WIDTH - NAMES - 60.0) / widest;
        for (name, ratio) in &panel.bars {
            let class = if name.starts_with("tower-api-span") {
                "o"
            } else {
                "b"
            };
            let width = (ratio * scale).max(1.0);
            let middle = y + 15.0;
            text(&mut body, NAMES - 8.0, middle, "n", name);
            let _ = writeln!(
                body,
                r#"<rect class="{class}" x="{NAMES}" y="{:.1}" width="{width:.1}" height="{:.1}"/>"#,
                y + 3.0,
                ROW - 6.0
            );
            text(
                &mut body,
                NAMES + width + 6.0,
                middle,
                "",
                &format!("{ratio:.2}"),
            );
            y += ROW;
        }
    }
    y += 10.0;
    for line in caption {
        y += 16.0;
        text(&mut body, 12.0, y, "c", line);
    }
    let height = y + 12.0;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<style>text{{font:13px sans-serif;fill:#222}}.t{{font-weight:bold}}.n{{text-anchor:end}}.c{{font-size:11px;fill:#555}}.b{{fill:#9bb0c4}}.o{{fill:#d9772b}}</style>
<rect width="100%" height="100%" fill="#fff"/>
{body}</svg>
"##
    )
}

fn text(into: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        into,
        r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#
    );
}
