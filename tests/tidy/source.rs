//! A Rust file with comments and literals blanked, so that rules see code and nothing else.
//!
//! `code` has the length and the lines of `text`: an offset in one is an offset in the other.
//! This is a lexer and a brace counter, no parser; it is enough for code that rustfmt has seen.

use std::ops::Range;

/// A string literal: where it is, and what stands between the quotes.
pub(crate) struct Literal {
    pub(crate) at: usize,
    pub(crate) text: String,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) span: Range<usize>,
}

pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
    pub(crate) code: String,
    pub(crate) literals: Vec<Literal>,
    /// The whole file is test code.
    pub(crate) all_test: bool,
    test_spans: Vec<Range<usize>>,
}

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a str, text: &'a str) -> Self {
        let mut lexer = Lexer { text, code: text.as_bytes().to_vec(), literals: Vec::new(), at: 0 };
        lexer.run();
        let code = String::from_utf8(lexer.code).expect("blanking keeps UTF-8 whole");
        let test_spans = cfg_test_items(&code);
        let all_test = path.starts_with("tests/") || path.contains("/tests/");
        Self { path, text, code, literals: lexer.literals, all_test, test_spans }
    }

    /// Says what is wrong at `offset`, with the line.
    pub(crate) fn finding(&self, offset: usize, rule: &str) -> String {
        format!("{}:{}: {rule}", self.path, line_of(self.text, offset))
    }

    pub(crate) fn is_test(&self, offset: usize) -> bool {
        self.all_test || self.test_spans.iter().any(|span| span.contains(&offset))
    }

    /// Where `word` stands as a word of its own.
    pub(crate) fn words(&self, word: &str) -> Vec<usize> {
        words(&self.code, word)
    }

    /// Functions with a body, closures and trait declarations without one left out.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let named = |at: usize| {
            let name = ident_at(&self.code, skip_space(&self.code, at + 2))?;
            let open = body_start(&self.code, at)?;
            let span = at..closing(&self.code, open);
            Some(Function { name: name.to_owned(), span })
        };
        self.words("fn").into_iter().filter_map(named).collect()
    }
}

pub(crate) fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
}

pub(crate) fn words(code: &str, word: &str) -> Vec<usize> {
    let bytes = code.as_bytes();
    let alone = |at: &usize| {
        let before = *at == 0 || !is_ident(bytes[at - 1]);
        let after = bytes.get(at + word.len()).is_none_or(|byte| !is_ident(*byte));
        before && after
    };
    code.match_indices(word).map(|(at, _)| at).filter(alone).collect()
}

pub(crate) fn skip_space(code: &str, at: usize) -> usize {
    let rest = &code[at..];
    at + rest.len() - rest.trim_start().len()
}

/// The identifier that begins at `at`.
pub(crate) fn ident_at(code: &str, at: usize) -> Option<&str> {
    let len = code.as_bytes()[at..].iter().take_while(|byte| is_ident(**byte)).count();
    (len > 0).then(|| &code[at..at + len])
}

/// The offset behind the brace that closes the one at `open`; the end where none does.
pub(crate) fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return at + 1,
            b'}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// The `{` that opens the body of the item at `from`; `None` where it ends with `;`.
fn body_start(code: &str, from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// Offsets behind each attribute that compiles an item for tests only.
fn cfg_test_attributes(code: &str) -> impl Iterator<Item = usize> {
    let found = ["#[cfg(test)]", "#[cfg(all(test"].into_iter();
    found.flat_map(|attribute| {
        code.match_indices(attribute).map(|(at, _)| at + code[at..].find(']').unwrap_or(0) + 1)
    })
}

fn cfg_test_items(code: &str) -> Vec<Range<usize>> {
    let item = |at| Some(at..closing(code, body_start(code, at)?));
    cfg_test_attributes(code).filter_map(item).collect()
}

/// The test modules of this file that have files of their own, as paths without `.rs`.
pub(crate) fn test_modules(source: &Source) -> Vec<String> {
    let module = |at: usize| {
        let end = at + source.code[at..].find([';', '{'])?;
        if !source.code[at..end].contains("mod ") || source.code[end..].starts_with('{') {
            return None;
        }
        let dir = source.path.rsplit_once('/').map_or("", |(dir, _)| dir);
        if let Some(path) = source.literals.iter().find(|literal| (at..end).contains(&literal.at)) {
            return Some(format!("{dir}/{}", path.text.trim_end_matches(".rs")));
        }
        let stem = source.path.trim_end_matches(".rs");
        let root = ["mod", "lib", "main"].iter().any(|name| stem.ends_with(&format!("/{name}")));
        let name = source.code[at..end].rsplit(' ').next()?;
        Some(format!("{}/{name}", if root { dir } else { stem }))
    };
    cfg_test_attributes(&source.code).filter_map(module).collect()
}

fn is_ident(byte: u8) -> bool {
    byte == b'_' || byte.is_ascii_alphanumeric() || byte >= 0x80
}

struct Lexer<'a> {
    text: &'a str,
    code: Vec<u8>,
    literals: Vec<Literal>,
    at: usize,
}

impl Lexer<'_> {
    fn run(&mut self) {
        while self.at < self.text.len() {
            let rest = &self.text.as_bytes()[self.at..];
            match rest {
                [b'/', b'/', ..] => self.blank(self.until("\n", self.at)),
                [b'/', b'*', ..] => self.blank(self.block_comment_end()),
                [b'"', ..] => self.string(),
                [b'\'', ..] => self.char_or_lifetime(),
                [byte, ..] if is_ident(*byte) => self.word(),
                _ => self.at += 1,
            }
        }
    }

    /// Replaces what lies between here and `end` by spaces, line ends kept, and goes on there.
    fn blank(&mut self, end: usize) {
        for byte in &mut self.code[self.at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        self.at = end;
    }

    fn until(&self, what: &str, from: usize) -> usize {
        self.text[from..].find(what).map_or(self.text.len(), |len| from + len)
    }

    fn block_comment_end(&self) -> usize {
        let (mut depth, mut at) = (0_usize, self.at);
        let bytes = self.text.as_bytes();
        while at < bytes.len() {
            match &bytes[at..] {
                [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
                [b'*', b'/', ..] if depth == 1 => return at + 2,
                [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
                _ => at += 1,
            }
        }
        bytes.len()
    }

    fn string(&mut self) {
        let bytes = self.text.as_bytes();
        let mut end = self.at + 1;
        while end < bytes.len() && bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        self.literal(self.at + 1..end.min(bytes.len()), 1);
    }

    /// Records the literal `inner` and blanks it; its quotes and `hashes` are `tail` long.
    fn literal(&mut self, inner: Range<usize>, tail: usize) {
        let text = self.text[inner.clone()].to_owned();
        self.literals.push(Literal { at: self.at, text });
        self.blank((inner.end + tail).min(self.text.len()));
    }

    /// An identifier, or the `r#"` that begins a raw string.
    fn word(&mut self) {
        let word = ident_at(self.text, self.at).unwrap_or_default();
        let behind = self.at + word.len();
        let hashes = self.text[behind..].bytes().take_while(|byte| *byte == b'#').count();
        let quote = self.text[behind + hashes..].starts_with('"');
        if !(matches!(word, "r" | "br" | "cr") && quote) {
            self.at = behind;
            return;
        }
        let inner = behind + hashes + 1;
        let end = self.until(&format!("\"{}", "#".repeat(hashes)), inner);
        self.literal(inner..end, hashes + 1);
    }

    fn char_or_lifetime(&mut self) {
        let mut chars = self.text[self.at + 1..].char_indices();
        let first = chars.next();
        let closed = matches!(chars.next(), Some((_, '\'')));
        match first {
            Some((_, '\\')) => self.blank(self.until("'", self.at + 3) + 1),
            Some((_, c)) if closed => self.blank(self.at + c.len_utf8() + 2),
            _ => self.at += 1,
        }
    }
}

#[test]
fn comments_and_literals_are_no_code() {
    let text = r##"
// unsafe { one }
/* unsafe /* two */ unsafe */ fn real<'a>(x: &'a str) -> char {
    let s = "unsafe \" { \\"; let r = r#"unsafe " {"#; let b = b"unsafe {";
    let c = ['{', '\'', '\u{7b}', 'é']; x
}
"##;
    let source = Source::new("a.rs", text);
    assert_eq!(source.code.len(), text.len());
    assert!(source.words("unsafe").is_empty(), "{}", source.code);
    assert_eq!(source.literals.len(), 3);
    assert_eq!(source.literals[1].text, r#"unsafe " {"#);
    let functions = source.functions();
    assert_eq!((functions.len(), functions[0].name.as_str()), (1, "real"));
    assert_eq!(functions[0].span.end, text.len() - 1);
}

#[test]
fn test_code_is_known_in_line_and_in_files_of_its_own() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests { fn b() {} }\nfn c() {}\n";
    let source = Source::new("src/x.rs", text);
    let in_test: Vec<_> = source.functions().iter().map(|f| source.is_test(f.span.start)).collect();
    assert_eq!(in_test, [false, true, false]);
    let tree = crate::tree::Tree::sample(&[
        ("src/x/mod.rs", "#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[path = \"long.rs\"]\nmod l;"),
        ("src/x/tests.rs", ""),
        ("src/x/tests/deep.rs", ""),
        ("src/x/long.rs", ""),
        ("src/x/other.rs", "#[cfg(test)]\nmod inner;"),
        ("src/x/other/inner.rs", ""),
    ]);
    let all_test: Vec<_> = tree.sources().iter().map(|source| source.all_test).collect();
    assert_eq!(all_test, [false, true, true, true, false, true]);
}
