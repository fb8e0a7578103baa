//! The page: one file that needs nothing else.

use leitmotif_models::text::escape_html;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::document::{Figure, Report, Section, Stroke};
use super::table::{Cell, Table, Visibility, heading};
use crate::plot::charts;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Characters that need no escape in one part of an address; a `:` would make the first part a scheme.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Text of more characters than this gets a wide cell, or its row would become too tall.
const LONG: usize = 36;

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
    let sections: String = report.sections.iter().map(|s| section(s, tables)).collect();
    // In one pass, because inserted text may hold braces itself.
    let mut html = String::new();
    let mut rest = TEMPLATE;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        html += before;
        match name {
            "title" => html += &escape_html(&report.title),
            "style" => html += &format!("{STYLE}\n{}", charts::style()),
            "summary" => html += &summary,
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

fn section(section: &Section, tables: &str) -> String {
    let mut html = format!(
        "<section id=\"section-{}\">\n<h2>{}</h2>\n",
        escape_html(&section.id),
        escape_html(&section.title)
    );
    html.extend(section.text.iter().map(|text| paragraph(text)));
    html.extend(section.figures.iter().map(figure));
    html.extend(section.tables.iter().map(|t| table(t, tables)));
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
    html + &format!("<figcaption>{}</figcaption>\n</figure>\n", escape_html(&figure.caption))
}

fn table(table: &Table, folder: &str) -> String {
    let caption = escape_html(&table.caption);
    let link =
        format!("<a class=\"csv\" href=\"{}/{}.csv\">CSV</a>", address(folder), address(&table.id));
    if table.visibility == Visibility::File {
        let rows = table.rows.len();
        return format!("<p class=\"file\">{caption}: {rows} rows, {link}</p>\n");
    }
    let mut grid =
        format!("<div class=\"scroll\"><table id=\"{}\">\n<thead><tr>", escape_html(&table.id));
    for (i, column) in table.columns.iter().enumerate() {
        let mut cells = table.rows.iter().filter_map(|row| row.get(i));
        // A column that is still empty will hold numbers: text columns are never empty.
        let class =
            if cells.any(|cell| matches!(cell, Cell::Text(_))) { "" } else { " class=\"n\"" };
        grid += &format!("<th scope=\"col\"{class}>{}</th>", escape_html(heading(column)));
    }
    grid += "</tr></thead>\n<tbody>\n";
    for row in &table.rows {
        grid += "<tr>";
        for cell in row {
            let text = escape_html(&cell.to_string());
            grid += &match cell {
                Cell::Number(..) => format!("<td class=\"n\">{text}</td>"),
                Cell::Paper(..) => {
                    format!("<td class=\"n paper\" title=\"the paper’s\">{text}</td>")
                }
                Cell::Text(words) if words.chars().count() > LONG => {
                    format!("<td class=\"long\">{text}</td>")
                }
                Cell::Text(_) => format!("<td>{text}</td>"),
                Cell::Empty => "<td></td>".to_owned(),
            };
        }
        grid += "</tr>\n";
    }
    grid += "</tbody></table></div>\n";
    match table.visibility {
        Visibility::Folded => format!(
            "<details><summary>{caption} ({} rows)</summary>\n{grid}<p class=\"file\">{link}</p></details>\n",
            table.rows.len()
        ),
        _ => format!("<h3>{caption} {link}</h3>\n{grid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_the_page() {
        let mut table = Table::new("t", "<b>", &["a & b"]);
        table.rows.push(vec![Cell::text("<script>alert(\"{{title}}\")</script>")]);
        let section = Section { id: "s".to_owned(), tables: vec![table], ..Section::default() };
        let title = "{{sections}} <i>".to_owned();
        let report = Report { version: 1, title, summary: Vec::new(), sections: vec![section] };
        let folder = html(&report, "50 % \"a#b?c\" é-tables");
        assert!(folder.contains("href=\"50%20%25%20%22a%23b%3Fc%22%20%C3%A9-tables/t.csv\""));
        assert!(folder.contains("href=\"50%20%25%20%22a%23b%3Fc%22%20%C3%A9-tables/\""));
        let html = html(&report, "r-tables");
        assert!(!html.contains("<script") && !html.contains("<i>") && !html.contains("<b>"));
        assert!(html.contains("&lt;script&gt;alert(&quot;{{title}}&quot;)"));
        assert!(html.contains("<title>{{sections}} &lt;i&gt;</title>"));
        assert!(html.contains("href=\"r-tables/t.csv\"") && html.contains("a &amp; b"));
    }
}
