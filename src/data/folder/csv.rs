//! Tables of image-level labels: `file,label;label`, or one column per class.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::Hint;

/// Headings of the column that names the photo.
const FILE: [&str; 9] =
    ["file", "filename", "file_name", "image", "image_id", "photo", "path", "name", "id"];

/// Headings of a column of labels.
const LABELS: [&str; 6] = ["label", "labels", "class", "classes", "tag", "tags"];

/// What a class column may say.
const YES: [&str; 6] = ["1", "1.0", "true", "yes", "x", "y"];
const NO: [&str; 7] = ["", "0", "0.0", "false", "no", "n", "-"];

/// The rows of a table, in its order: a photo as the table calls it, and its labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Photo and labels of each row.
    pub rows: Vec<(String, Vec<String>)>,
    /// The class columns, in order; empty for a table of labels.
    pub columns: Vec<String>,
}

/// Reads a table separated by commas, semicolons or tabs. Several labels of a cell are separated by `;`, `|` or
/// spaces around them are dropped; a heading may be missing where there are two columns.
///
/// # Errors
/// A file that can't be read, is empty or has rows that are neither form.
pub fn read(path: &Path) -> Result<Table> {
    let bytes = fs_err::read(path).hint("data.labels names a CSV file of a folder data set")?;
    parse(&String::from_utf8_lossy(&bytes))
        .with_context(|| format!("labels {}", path.display()))
        .hint("rows are `file,label;label`, or the heading is `file,class,class` and cells are 0 or 1")
}

fn parse(text: &str) -> Result<Table> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    let separator = if first.contains('\t') {
        '\t'
    } else if first.contains(',') {
        ','
    } else {
        ';'
    };
    let mut rows = text.lines().map(|line| cells(line, separator));
    let rows: Vec<Vec<String>> =
        rows.by_ref().filter(|row| row.iter().any(|cell| !cell.is_empty())).collect();
    let head = rows.first().context("the table is empty")?;
    if !FILE.contains(&head[0].to_lowercase().as_str()) {
        return labels_of(&rows, &[1], 0);
    }
    let is_label = |heading: &String| LABELS.contains(&heading.to_lowercase().as_str());
    let columns: Vec<usize> = (1..head.len()).filter(|&at| is_label(&head[at])).collect();
    if columns.is_empty() { flags_of(&rows) } else { labels_of(&rows, &columns, 1) }
}

/// The cells of a line; quotes hold separators, `""` is a quote.
fn cells(line: &str, separator: char) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = line.trim_end_matches('\r').chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                cell.push('"');
                letters.next();
            }
            '"' => quoted = !quoted,
            letter if letter == separator && !quoted => {
                cells.push(std::mem::take(&mut cell).trim().to_string());
            }
            letter => cell.push(letter),
        }
    }
    cells.push(cell.trim().to_string());
    cells
}

fn labels_of(rows: &[Vec<String>], columns: &[usize], skipped: usize) -> Result<Table> {
    let mut table = Table::default();
    for (number, row) in rows.iter().enumerate().skip(skipped) {
        ensure!(row.len() > 1, "row {}: no second cell in '{}'", number + 1, row[0]);
        ensure!(
            skipped > 0 || row.len() == 2,
            "row {} has {} cells, and there is no heading that starts with 'file'",
            number + 1,
            row.len()
        );
        let cells = columns.iter().filter_map(|&at| row.get(at));
        let labels = cells.flat_map(|cell| cell.split([';', '|'])).map(str::trim);
        let labels = labels.filter(|label| !label.is_empty()).map(String::from).collect();
        table.rows.push((row[0].clone(), labels));
    }
    Ok(table)
}

fn flags_of(rows: &[Vec<String>]) -> Result<Table> {
    let columns = rows[0][1..].to_vec();
    ensure!(!columns.is_empty(), "the heading names no class");
    let mut table = Table { rows: Vec::new(), columns };
    for (number, row) in rows.iter().enumerate().skip(1) {
        let mut labels = Vec::new();
        for (class, cell) in table.columns.iter().zip(row.iter().skip(1)) {
            let cell = cell.to_lowercase();
            if YES.contains(&cell.as_str()) {
                labels.push(class.clone());
            } else if !NO.contains(&cell.as_str()) {
                bail!("row {}: '{cell}' under the class {class} is neither 0 nor 1", number + 1);
            }
        }
        table.rows.push((row[0].clone(), labels));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(String, Vec<String>)> {
        parse(text).unwrap().rows
    }

    fn row(file: &str, labels: &[&str]) -> (String, Vec<String>) {
        (file.to_string(), labels.iter().map(|label| label.to_string()).collect())
    }

    #[test]
    fn both_forms_with_and_without_heading() {
        let expected = [row("a.jpg", &["rust", "big dent"]), row("b, c.jpg", &[])];
        for text in [
            "a.jpg,rust;big dent\n\"b, c.jpg\",\n",
            "\u{feff}File,Labels\r\na.jpg,rust | big dent\r\n\r\n\"b, c.jpg\",\r\n",
            "file\tsplit\tlabel\tlabel\na.jpg\ttrain\trust\tbig dent\nb, c.jpg\tval\t\t\n",
            "file,rust,big dent\na.jpg,1,TRUE\n\"b, c.jpg\",0,\n",
        ] {
            assert_eq!(rows(text), expected, "{text}");
        }
        assert_eq!(parse("file,rust,dent\na,1,0\n").unwrap().columns, ["rust", "dent"]);
    }

    #[test]
    fn quotes_hold_separators_and_quotes() {
        assert_eq!(cells("a,\"b \"\"c\"\", d\",e", ','), ["a", "b \"c\", d", "e"]);
    }

    #[test]
    fn other_tables_are_refused() {
        for text in ["", "a.jpg\n", "a.jpg,rust,dent\n", "file,rust\na.jpg,perhaps\n", "file\na\n"]
        {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
