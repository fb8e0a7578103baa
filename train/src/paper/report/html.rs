//! The page: one file that needs nothing else.

use leitmotif_models::text::escape_html;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::document::{Figure, Report, Section, Stroke};
use super::table::Cell;
use super::{grid, shades};
use crate::plot::charts;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Characters that need no escape in one part of an address; a `:` would make the first part a scheme.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The whole page; `tables` is the folder of the CSV files beside it.
pub(super) fn html(report: &Report, tables: &str) -> String {
    let entries = report.sections.iter();
    let contents: String = entries
        .map(|s| {
            format!(
                "<li><a href=\"#section-{}\">{}</a></li>\n",
                escape_html(&s.id),
                escape_html(&s.title)
            )
        })
        .collect();
    let summary: String = report.summary.iter().map(|text| paragraph(text)).collect();
    let caveats: String = report.caveats.iter().map(|text| caveat(text)).collect();
    let has_papers = |row: &Vec<Cell>| row.iter().any(|cell| matches!(cell, Cell::Paper(..)));
    let papers = match report.tables().any(|table| table.rows.iter().any(has_papers)) {
        true => " <span class=\"paper\">Numbers in this style</span> are the paper’s.",
        false => "",
    };
    let sections: String = report.sections.iter().map(|s| section(s, tables)).collect();
    // In one pass, because inserted text may hold braces itself.
    let mut html = String::new();
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        html += before;
        match name {
            "title" => html += &escape_html(&report.title),
            "style" => html += &format!("{STYLE}\n{}{}", charts::style(), shades::style()),
            "summary" => html += &summary,
            "caveats" => html += &caveats,
            "papers" => html += papers,
            "contents" => html += &contents,
            "sections" => html += &sections,
            "tables" => html += &escape_html(tables),
            "tables-address" => html += &address(tables),
            _ => {}
        }
        rest = after;
    }
    html + rest
}

/// A file's name as a part of an address.
fn address(name: &str) -> String {
    utf8_percent_encode(name, PLAIN).to_string()
}

fn paragraph(text: &str) -> String {
    format!("<p>{}</p>\n", escape_html(text))
}

/// Marked by a symbol and a word, and not by its colour alone.
fn caveat(text: &str) -> String {
    format!(
        "<p class=\"caveat\" role=\"note\"><b><span aria-hidden=\"true\">⚠</span> Caveat.</b> {}</p>\n",
        escape_html(text)
    )
}

fn section(section: &Section, tables: &str) -> String {
    let mut html = format!(
        "<section id=\"section-{}\">\n<h2>{}</h2>\n",
        escape_html(&section.id),
        escape_html(&section.title)
    );
    html.extend(section.text.iter().map(|text| paragraph(text)));
    html.extend(section.figures.iter().map(figure));
    let csv = |id: &str| format!("{}/{}.csv", address(tables), address(id));
    html.extend(section.tables.iter().map(|table| grid::table(table, &csv(&table.id))));
    html + "</section>\n"
}

fn figure(figure: &Figure) -> String {
    let mut html = format!("<figure>\n{}\n", figure.drawing);
    if !figure.legend.is_empty() {
        html += "<ul class=\"legend\">";
        for key in &figure.legend {
            let stroke = match key.stroke {
                Stroke::Solid => "solid",
                Stroke::Dashed => "dashed",
                Stroke::Area => "area",
                Stroke::Point => "point",
                Stroke::Mark => "mark",
            };
            html += &format!(
                "<li><span class=\"{stroke}\" style=\"--c:var(--l{})\"></span>{}</li>",
                key.colour % 8,
                escape_html(&key.label)
            );
        }
        html += "</ul>\n";
    }
    if !figure.caption.is_empty() {
        html += &format!("<figcaption>{}</figcaption>\n", escape_html(&figure.caption));
    }
    html + "</figure>\n"
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let mut table = Table::new("t", "<em>", &["a & b"]);
        table.rows.push(vec![Cell::text("<script>alert(\"{{title}}\")</script>")]);
        let section = Section { id: "s".to_owned(), tables: vec![table], ..Section::default() };
        let title = "{{sections}} <i>".to_owned();
        let caveats = vec!["<u> & {{title}}".to_owned()];
        let (summary, sections) = (Vec::new(), vec![section]);
        let report = Report { version: 1, title, summary, caveats, sections };
        let folder = html(&report, "50 % \"a#b?c\" é-tables");
        assert!(folder.contains("href=\"50%20%25%20%22a%23b%3Fc%22%20%C3%A9-tables/t.csv\""));
        assert!(folder.contains("href=\"50%20%25%20%22a%23b%3Fc%22%20%C3%A9-tables/\""));
        let html = html(&report, "r-tables");
        assert!(html.contains("⚠</span> Caveat.</b> &lt;u&gt; &amp; {{title}}</p>"));
        assert!(!html.contains("<script") && !html.contains("<i>") && !html.contains("<em>"));
        assert!(html.contains("&lt;script&gt;alert(&quot;{{title}}&quot;)"));
        assert!(html.contains("<title>{{sections}} &lt;i&gt;</title>"));
        assert!(html.contains("href=\"r-tables/t.csv\"") && html.contains("a &amp; b"));
    }
}
