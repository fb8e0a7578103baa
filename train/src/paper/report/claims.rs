//! Claims with their verdicts as a list: a badge in words, symbol and colour, and the difference with its interval as a
//! bar.

use leitmotif_models::text::escape_html;

use super::interval::Interval;
use super::table::Cell;

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The interval lies above zero.
    Yes,
    /// It lies below.
    No,
    /// It spans zero, or rests on too few songs.
    Undecided,
    /// The two series have runs with different seeds.
    NotFinished,
    /// One of the series has no runs.
    NotRun,
    /// The measure applies to no clip.
    NoClips,
}

impl Verdict {
    /// In words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Verdict::Yes => "yes",
            Verdict::No => "no",
            Verdict::Undecided => "undecided",
            Verdict::NotFinished => "not finished",
            Verdict::NotRun => "not run yet",
            Verdict::NoClips => "no such clips here",
        }
    }

    /// Symbol, and class of the colours.
    fn look(self) -> (&'static str, &'static str) {
        match self {
            Verdict::Yes => ("✓", "yes"),
            Verdict::No => ("✗", "no"),
            Verdict::Undecided => ("?", "undecided"),
            Verdict::NotFinished | Verdict::NotRun => ("…", "unfinished"),
            Verdict::NoClips => ("–", "undecided"),
        }
    }
}

/// A claim and what was found.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) verdict: Verdict,
    pub(super) question: String,
    /// The paper's answer; may be empty.
    pub(super) paper: String,
    /// Names of the series that are compared, with their percentages.
    pub(super) sides: [(String, Cell); 2],
    /// Points that the first is ahead, with the ends of the interval; empty cells where nothing was measured.
    pub(super) ahead: [Cell; 3],
    /// Songs, epochs and the like, in a few words.
    pub(super) notes: Vec<String>,
}

/// The list; nothing without claims.
pub(super) fn list(claims: &[Claim]) -> String {
    let ends = claims.iter().filter_map(Claim::interval).flat_map(|i| [i.low.abs(), i.high.abs()]);
    // One axis for all bars, to the next five points.
    let reach = 5.0 * (ends.fold(5.0, f64::max) / 5.0).ceil();
    let items: String = claims.iter().map(|claim| claim.html(reach)).collect();
    let axis = format!(
        "<li class=\"claim axis\" aria-hidden=\"true\"><span></span><span></span>\
         <span class=\"ends\"><span>−{reach}</span><span>0</span><span>+{reach} points</span></span></li>\n"
    );
    format!("<ul class=\"claims\">\n{axis}{items}</ul>")
}

impl Claim {
    fn interval(&self) -> Option<Interval> {
        let number = |cell: &Cell| match cell {
            Cell::Number(value, _) => Some(*value),
            _ => None,
        };
        let [value, low, high] = &self.ahead;
        Some(Interval { value: number(value)?, low: number(low)?, high: number(high)? })
    }

    fn html(&self, reach: f64) -> String {
        let (symbol, class) = self.verdict.look();
        let words = self.verdict.words();
        let mut html = format!(
            "<li class=\"claim {class}\"><span class=\"badge\"><b aria-hidden=\"true\">{symbol}</b> {words}</span>\
             <div><p class=\"question\">{}</p>",
            escape_html(&self.question)
        );
        let [(ours, our_share), (theirs, their_share)] = &self.sides;
        let mut facts = Vec::new();
        if self.interval().is_some() {
            facts.push(format!(
                "{} <b>{our_share} %</b>, {} <b>{their_share} %</b>",
                escape_html(ours),
                escape_html(theirs)
            ));
        }
        facts.extend(self.notes.iter().map(|note| escape_html(note)));
        if !self.paper.is_empty() {
            facts.push(format!(
                "<span class=\"paper\">the paper: {}</span>",
                escape_html(&self.paper)
            ));
        }
        html += &format!("<p class=\"facts\">{}</p></div>", facts.join(" · "));
        match self.interval() {
            Some(interval) => {
                let [ahead, low, high] = &self.ahead;
                let label = format!("{ahead} points, 95 % interval {low} to {high}");
                html += &format!(
                    "<div class=\"bar\">{}<p><b>{ahead}</b> points [{low} to {high}]</p></div></li>\n",
                    interval.svg(-reach, reach, 0.0, &label)
                );
            }
            None => html += "<div class=\"bar\"></div></li>\n",
        }
        html
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(verdict: Verdict, ahead: [Cell; 3]) -> Claim {
        Claim {
            verdict,
            question: "Is <b> better?".to_owned(),
            paper: "yes & no".to_owned(),
            sides: [("a<".to_owned(), Cell::percent(0.5)), ("b".to_owned(), Cell::percent(0.4))],
            ahead,
            notes: vec!["21 songs".to_owned()],
        }
    }

    #[test]
    fn a_verdict_is_told_by_word_symbol_and_class() {
        let ahead = [10.0, 2.0, 18.0].map(|x| Cell::number(x, 2));
        let html = list(&[claim(Verdict::Yes, ahead)]);
        for part in [
            "<li class=\"claim yes\"><span class=\"badge\"><b aria-hidden=\"true\">✓</b> yes</span>",
            "Is &lt;b&gt; better?",
            "a&lt; <b>50.00 %</b>, b <b>40.00 %</b> · 21 songs",
            "the paper: yes &amp; no",
            "<b>10.00</b> points [2.00 to 18.00]",
            "<span>−20</span>",
            "class=\"range\" x1=\"55.00%\" y1=\"9\" x2=\"95.00%\"",
        ] {
            assert!(html.contains(part), "{part}: {html}");
        }
        for (verdict, class) in
            [(Verdict::No, "claim no"), (Verdict::NotFinished, "claim unfinished")]
        {
            let html = list(&[claim(verdict, [Cell::Empty, Cell::Empty, Cell::Empty])]);
            assert!(html.contains(class) && html.contains(verdict.words()), "{html}");
            assert!(!html.contains("<svg") && !html.contains(" %</b>"), "{html}");
        }
    }
}
