//! Labels, hostile and acceptable, for the tests of file names (BT-2.1-3).

use std::collections::BTreeSet;

/// Names that have harmed other programs, made systematically.
pub(super) fn hostile_names() -> Vec<String> {
    let mut names: BTreeSet<String> = paths().chain(hidden()).chain(edges()).chain(lengths()).collect();
    for device in devices() {
        let mixed: String =
            device.char_indices().map(|(i, c)| if i % 2 == 0 { c.to_ascii_lowercase() } else { c }).collect();
        for name in [device.clone(), device.to_ascii_lowercase(), mixed] {
            names.extend(
                ["", ".txt", ".tar.gz", " .txt", "\u{a0}\u{3000}.x", "..x"].map(|end| format!("{name}{end}")),
            );
        }
    }
    let not_composed = [
        "e\u{301}",
        "A\u{30a}.txt",
        "\u{212b}",
        "\u{2126}",
        "\u{1100}\u{1161}",
        "q\u{307}\u{323}",
        "\u{fb1d}",
        "\u{f900}",
        "re\u{301}sume\u{301}",
    ];
    names.extend(not_composed.map(str::to_owned));
    names.into_iter().collect()
}

fn paths() -> impl Iterator<Item = String> {
    let frames = [
        "../{}",
        "../../{}",
        "../../../../tmp/{}",
        "./{}",
        "/{}",
        "//{}",
        "/tmp/{}",
        "{}/",
        "{}/..",
        "a/{}",
        "{}/../../b",
        "..\\{}",
        "..\\..\\{}",
        "\\{}",
        "\\\\host\\share\\{}",
        "\\\\?\\C:\\{}",
        "\\\\.\\{}",
        "{}\\",
        "a\\{}",
        "C:{}",
        "C:\\{}",
        "c:/{}",
        "{}:stream",
        "{}::$DATA",
        "file:///{}",
        "~/{}",
        "~root/{}",
        "%2e%2e/{}",
        "{}|x",
        "{}>x",
        "<{}",
        "\"{}\"",
        "{}?",
        "*{}",
        "a\n../{}",
    ];
    let seeds = ["passwd", "evil.exe", "résumé.pdf"];
    let framed = frames.into_iter().flat_map(move |frame| seeds.map(|seed| frame.replace("{}", seed)));
    framed.chain(["/", "\\", "..", ".", "/..", "../", "..\\", "C:", "~", "-", "*", "?"].map(str::to_owned))
}

fn hidden() -> impl Iterator<Item = String> {
    let controls = ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}');
    let others = "\u{ad}\u{34f}\u{61c}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\
                  \u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2064}\u{2066}\u{2067}\u{2068}\u{2069}\u{206f}\u{feff}\
                  \u{fff9}\u{fffb}\u{e0000}\u{e0041}\u{e007f}";
    let invisible = controls.chain(others.chars());
    invisible.flat_map(|c| [format!("a{c}b.txt"), format!("{c}a.txt"), format!("a.txt{c}"), c.to_string()])
}

fn edges() -> impl Iterator<Item = String> {
    let starts = [".", "..", "...", "-", "--", "~", " ", "\u{a0}", "\u{3000}", "\u{2003}"]
        .map(|start| format!("{start}name.txt"));
    let ends = [".", "..", " ", "  ", " .", ". ", "\u{a0}", "\u{3000}", "\u{1680}"]
        .map(|end| format!("name.txt{end}"));
    let only = [
        "",
        " ",
        "...",
        " . ",
        "-rf",
        ".bashrc",
        ".ssh",
        ".bittrickle-1.part",
        "--help",
        "~user",
        "\u{202f}",
    ];
    starts.into_iter().chain(ends).chain(only.map(str::to_owned))
}

fn lengths() -> impl Iterator<Item = String> {
    let plain = (256..=300).map(|bytes| "n".repeat(bytes));
    plain
        .chain((128..=150).map(|count| "é".repeat(count)))
        .chain(["日".repeat(86), format!("{}.txt", "n".repeat(252))])
}

/// BT-2.1-3, in upper case.
pub(super) fn devices() -> Vec<String> {
    let mut devices: Vec<String> =
        ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"].map(str::to_owned).to_vec();
    for digit in "0123456789¹²³".chars() {
        devices.extend([format!("COM{digit}"), format!("LPT{digit}")]);
    }
    devices
}

/// Names that only look as if they were hostile, and some that don't.
pub(super) fn acceptable_names() -> Vec<String> {
    let names = [
        "a",
        "notes.txt",
        "a b.tar.gz",
        "résumé.pdf",
        "日本語",
        "❤\u{fe0f}.png",
        "_",
        "CONSOLE.txt",
        "COM",
        "com10",
        "LPT",
        "COM⁴",
        "CONIN",
        "conout",
        "aux1",
        "xCON",
        "con-1",
        "Null",
        "a.con",
        "a-b~c",
        "100%",
        "#1",
        "(x)",
        "{y}",
        "[z]",
        "a,b;c",
        "it's",
        "@",
        "$HOME",
        "a..b",
        "CON_",
        "ｃｏｎ",
        "\u{1f469}",
        "𝒜.txt",
        "com 1",
        "q\u{323}\u{307}",
        "각",
        "%2e%2e%2fpasswd",
    ];
    let mut names: Vec<String> = names.map(str::to_owned).to_vec();
    names.extend(["n".repeat(255), "日".repeat(85), format!("{}n", "é".repeat(127))]);
    names
}
