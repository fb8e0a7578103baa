//! A table as HTML: it must fit a page, a phone and paper, where nothing can be scrolled.

use std::collections::BTreeSet;

use leitmotif_models::text::escape_html;

use super::shades;
use super::table::{Cell, Layout, Table, Visibility, heading};

/// Text of more characters than this gets a wide cell, or its row would become too tall.
const LONG: usize = 36;
/// A table of more columns than this does not fit a phone as it is.
const NARROW: usize = 4;
/// From so many columns on the letters are smaller.
const DENSE: usize = 11;
/// A table of more rows than this is scrolled on a phone; with fewer, each row becomes a list of its cells.
const FEW_ROWS: usize = 40;

/// A table with its caption; `csv` is the address of its CSV file, escaped.
pub(super) fn table(table: &Table, csv: &str) -> String {
    let caption = escape_html(&table.caption);
    let link = format!("<a class=\"csv\" href=\"{csv}\">CSV</a>");
    let rows = shown_rows(table);
    if table.visibility == Visibility::File || rows.is_empty() {
        let rows = table.rows.len();
        return format!("<p class=\"file\">{caption}: {rows} rows, {link}</p>\n");
    }
    let mut left_out = String::new();
    if rows.len() < table.rows.len() {
        let names = table.rows.iter().filter(|row| !is_measured(row));
        let names: Vec<String> =
            names.filter_map(|row| row.first()).map(ToString::to_string).collect();
        left_out = format!(
            "<p class=\"file\">Nothing was measured for {}; the CSV file has the paper’s numbers.</p>\n",
            escape_html(&names.join(", "))
        );
    }
    let grid = grid(table, &rows, &caption) + &left_out;
    match table.visibility {
        Visibility::Folded => format!(
            "<details><summary>{caption} ({} {})</summary>\n{grid}<p class=\"file\">{link}</p></details>\n",
            rows.len(),
            if rows.len() == 1 { "row" } else { "rows" }
        ),
        _ => format!("<h3>{caption} {link}</h3>\n{grid}"),
    }
}

/// The rows that the page shows.
fn shown_rows(table: &Table) -> Vec<&Vec<Cell>> {
    let shown = |row: &&Vec<Cell>| table.layout != Layout::Measured || is_measured(row);
    table.rows.iter().filter(shown).collect()
}

/// Whether a row has a number of ours that is not zero.
fn is_measured(row: &[Cell]) -> bool {
    row.iter().any(|cell| matches!(cell, Cell::Number(value, _) if *value != 0.0))
}

/// The columns that have one value in all rows, where these are stated once.
fn shared_columns(table: &Table) -> BTreeSet<usize> {
    let is_shared = |i: &usize| {
        let mut cells = table.rows.iter().map(|row| row.get(*i));
        let first = cells.next().flatten();
        cells.all(|cell| cell == first)
    };
    match table.layout {
        Layout::Shared if table.rows.len() > 1 => {
            (1..table.columns.len()).filter(is_shared).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn grid(table: &Table, rows: &[&Vec<Cell>], caption: &str) -> String {
    let shared = shared_columns(table);
    let mut html = String::new();
    if let (false, Some(row)) = (shared.is_empty(), rows.first()) {
        let facts = shared.iter().filter_map(|i| {
            let (column, cell) = (table.columns.get(*i)?, row.get(*i)?);
            let cell = if *cell == Cell::Empty { "–".to_owned() } else { cell.to_string() };
            let (column, cell) = (escape_html(heading(column)), escape_html(&cell));
            Some(format!("<span>{column} <b>{cell}</b></span>"))
        });
        let facts = facts.collect::<Vec<_>>().join("; ");
        html += &format!("<p class=\"shared\">The same in every row: {facts}</p>\n");
    }
    let columns: Vec<usize> = (0..table.columns.len()).filter(|i| !shared.contains(i)).collect();
    let heat = table.layout == Layout::Heat;
    let cards = !heat && columns.len() > NARROW && rows.len() <= FEW_ROWS;
    let scrolls = !heat && columns.len() > NARROW && !cards;
    let classes: Vec<&str> =
        [("heat", heat), ("cards", cards), ("scrolls", scrolls), ("dense", columns.len() >= DENSE)]
            .into_iter()
            .filter_map(|(class, applies)| applies.then_some(class))
            .collect();
    if scrolls {
        html += &format!("<p class=\"hint\">{} columns: scroll sideways →</p>\n", columns.len());
    }
    // Whoever has no mouse scrolls with the keyboard, once the place has the focus.
    let focus = if scrolls {
        format!(" tabindex=\"0\" role=\"region\" aria-label=\"{caption}\"")
    } else {
        String::new()
    };
    html += &format!(
        "<div class=\"scroll\"{focus}><table id=\"{}\" class=\"{}\">\n<thead>{}</thead>\n<tbody>\n",
        escape_html(&table.id),
        classes.join(" "),
        head(table, &columns)
    );
    for row in rows {
        html += "<tr>";
        let total = numbers(row).sum::<f64>();
        for i in &columns {
            let (Some(column), Some(cell)) = (table.columns.get(*i), row.get(*i)) else { continue };
            html += &match table.layout {
                Layout::Heat => heat_cell(column, cell, row, total),
                layout => {
                    let words = has_words(table, *i);
                    grid_cell(column, cell, words, cards, layout == Layout::Bars)
                }
            };
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

fn numbers(row: &[Cell]) -> impl Iterator<Item = f64> {
    row.iter().filter_map(|cell| match cell {
        Cell::Number(value, _) => Some(*value),
        _ => None,
    })
}

/// Whether a column has text; one that is still empty will hold numbers, since text columns are never empty.
fn has_words(table: &Table, column: usize) -> bool {
    let mut cells = table.rows.iter().filter_map(|row| row.get(column));
    cells.any(|cell| matches!(cell, Cell::Text(_)))
}

/// The headings; neighbours `NAME: WHAT` of one name get it once, above them.
fn head(table: &Table, columns: &[usize]) -> String {
    let names: Vec<&str> =
        columns.iter().filter_map(|i| table.columns.get(*i)).map(|c| heading(c)).collect();
    let parts: Vec<(Option<&str>, &str)> = names
        .iter()
        .map(|name| match name.rsplit_once(": ") {
            Some((group, rest)) if table.layout != Layout::Heat => (Some(group), rest),
            _ => (None, *name),
        })
        .collect();
    let class = |place: usize| {
        let column = columns.get(place).copied().unwrap_or(place);
        if has_words(table, column) { "" } else { " class=\"n\"" }
    };
    let is_grouped = parts.iter().any(|(group, _)| group.is_some());
    let (mut above, mut below) = (String::new(), String::new());
    let mut place = 0;
    while let Some((group, name)) = parts.get(place) {
        let name = escape_html(name);
        match group {
            None if table.layout == Layout::Heat && place > 0 => {
                above += &format!("<th scope=\"col\"><span>{name}</span></th>");
            }
            None => {
                let rows = if is_grouped { " rowspan=\"2\"" } else { "" };
                above += &format!("<th scope=\"col\"{rows}{}>{name}</th>", class(place));
            }
            Some(group) => {
                let of_group = parts.iter().skip(place).take_while(|(of, _)| *of == Some(group));
                let members: Vec<&str> = of_group.map(|(_, name)| *name).collect();
                above += &format!(
                    "<th scope=\"colgroup\" colspan=\"{}\" class=\"group\">{}</th>",
                    members.len(),
                    escape_html(group)
                );
                for (i, member) in members.iter().enumerate() {
                    let class = class(place + i);
                    below += &format!("<th scope=\"col\"{class}>{}</th>", escape_html(member));
                }
                place += members.len().saturating_sub(1);
            }
        }
        place += 1;
    }
    let below = if is_grouped { format!("<tr>{below}</tr>") } else { String::new() };
    format!("<tr>{above}</tr>{below}")
}

fn grid_cell(column: &str, cell: &Cell, words: bool, card: bool, bars: bool) -> String {
    let text = escape_html(&cell.to_string());
    // On a phone the heading stands beside the cell.
    let name =
        if card { format!(" data-h=\"{}\"", escape_html(heading(column))) } else { String::new() };
    match cell {
        Cell::Number(value, _) if bars && column.ends_with(", %") => format!(
            "<td class=\"n share\" style=\"--w:{:.1}%\"{name}>{text}</td>",
            value.clamp(0.0, 100.0)
        ),
        // Among words, as values of several kinds below each other, numbers are aligned as these are.
        Cell::Number(..) if words => format!("<td{name}>{text}</td>"),
        Cell::Number(..) => format!("<td class=\"n\"{name}>{text}</td>"),
        Cell::Paper(..) => {
            format!("<td class=\"n paper\" title=\"the paper’s\"{name}>{text}</td>")
        }
        Cell::Text(words) if words.chars().count() > LONG => {
            format!("<td class=\"long\"{name}>{text}</td>")
        }
        Cell::Text(_) => format!("<td{name}>{text}</td>"),
        Cell::Empty => format!("<td class=\"empty\"{name}></td>"),
    }
}

/// A cell shaded by its share of the row.
fn heat_cell(column: &str, cell: &Cell, row: &[Cell], total: f64) -> String {
    let text = escape_html(&cell.to_string());
    let Cell::Number(value, _) = cell else {
        return format!("<th scope=\"row\">{text}</th>");
    };
    let truth = row.first().map(ToString::to_string).unwrap_or_default();
    let is_right = truth == column;
    let class = match shades::class(value / total.max(1.0), is_right) {
        Some(class) => format!("n {class}"),
        None => "n zero".to_owned(),
    };
    let title = escape_html(&format!("{truth} → {column}"));
    format!("<td class=\"{class}\" title=\"{title}\">{text}</td>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[[usize; 3]]) -> Vec<Vec<Cell>> {
        let row = |row: &[usize; 3]| {
            [Cell::text(format!("r{}", row[0]))].into_iter().chain(row.map(Cell::count)).collect()
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn columns_of_one_value_are_stated_once() {
        let mut of =
            Table::new("t", "c", &["run", "batch", "rate", "x"]).with_layout(Layout::Shared);
        of.rows = rows(&[[8, 5, 1], [8, 5, 2]]);
        let html = table(&of, "t.csv");
        assert!(html.contains("batch <b>8</b></span>; <span>learning rate <b>5</b>"), "{html}");
        assert!(html.contains("<th scope=\"col\">run</th><th scope=\"col\" class=\"n\">x</th>"));
        assert_eq!(html.matches("<td").count(), 4, "{html}");
        of.rows.truncate(1);
        assert_eq!(table(&of, "t.csv").matches("<td").count(), 4, "one row has nothing to share");
    }

    #[test]
    fn rows_without_a_measured_number_are_left_to_the_file() {
        let mut of =
            Table::new("t", "c", &["genre", "clips", "paper"]).with_layout(Layout::Measured);
        of.rows = vec![
            vec![Cell::text("Jazz"), Cell::count(3), Cell::paper(Some(1.0), 2)],
            vec![Cell::text("<World>"), Cell::count(0), Cell::paper(Some(2.0), 2)],
        ];
        let html = table(&of, "t.csv");
        assert_eq!(html.matches("<tr>").count(), 2, "{html}");
        assert!(html.contains("Nothing was measured for &lt;World&gt;;"), "{html}");
        of.rows.remove(0);
        let html = table(&of, "t.csv");
        assert!(!html.contains("<table") && html.contains("c: 1 rows"), "{html}");
    }

    #[test]
    fn counts_are_shaded_by_their_share_of_the_row() {
        let mut of = Table::new("t", "c", &["true artist", "A", "B"]).with_layout(Layout::Heat);
        of.rows = vec![
            vec![Cell::text("A"), Cell::count(2), Cell::count(2)],
            vec![Cell::text("B"), Cell::count(0), Cell::count(5)],
        ];
        let html = table(&of, "t.csv");
        assert!(html.contains("<td class=\"n r4\" title=\"A → A\">2</td>"), "{html}");
        assert!(html.contains("<td class=\"n w4\" title=\"A → B\">2</td>"), "{html}");
        assert!(html.contains("<td class=\"n zero\" title=\"B → A\">0</td>"), "{html}");
        assert!(html.contains("<th scope=\"row\">B</th>") && html.contains(">5</td>"), "{html}");
    }

    #[test]
    fn columns_of_one_group_share_a_heading_and_wide_tables_have_a_way_to_be_read_on_a_phone() {
        let columns = ["artist", "one: right, %", "one: clips", "two: right, %", "two: clips"];
        let mut of = Table::new("t", "c", &columns).with_layout(Layout::Bars);
        of.rows = vec![vec![
            Cell::text("A"),
            Cell::percent(0.5),
            Cell::count(4),
            Cell::Empty,
            Cell::Empty,
        ]];
        let html = table(&of, "t.csv");
        for part in [
            "<th scope=\"col\" rowspan=\"2\">artist</th><th scope=\"colgroup\" colspan=\"2\" class=\"group\">one</th>",
            "<table id=\"t\" class=\"cards\">",
            "<td class=\"n share\" style=\"--w:50.0%\" data-h=\"one: right, %\">50.00</td>",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        of.rows = vec![of.rows[0].clone(); FEW_ROWS + 1];
        let html = table(&of, "t.csv");
        assert!(html.contains("5 columns: scroll sideways") && html.contains("tabindex=\"0\""));
    }
}
