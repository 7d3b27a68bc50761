//! The shapes of names: what stands where in the name of a package, of a song, of a compiler's output.

use std::fmt;

use super::random::Random;
use super::words::{Vocabulary, foreign};

/// A name that is being written.
struct Writer<'a> {
    random: &'a mut Random,
    vocabulary: &'a Vocabulary,
    /// Whether the next word is a foreign one.
    is_foreign: bool,
    name: String,
}

/// How a word is written.
#[derive(Clone, Copy)]
enum Case {
    Lower,
    Title,
    Upper,
}

/// Writes one name.
type Shape = fn(&mut Writer<'_>);

/// What archives, collections and build folders hold, with their parts of a hundred.
const SHAPES: [(usize, Shape); 16] = [
    (14, debian_package),
    (9, red_hat_package),
    (9, source_archive),
    (5, python_package),
    (5, java_archive),
    (2, disc_image),
    (11, song),
    (6, film),
    (6, book),
    (6, photo),
    (6, document),
    (8, rust_output),
    (5, web_asset),
    (4, source_file),
    (2, log),
    (2, table),
];

/// A name, which may have been made up before.
pub(super) fn made_up(random: &mut Random, vocabulary: &Vocabulary, is_foreign: bool) -> String {
    let shape = random.one_of_weighted(&SHAPES);
    let mut writer = Writer { random, vocabulary, is_foreign, name: String::with_capacity(64) };
    shape(&mut writer);
    writer.name
}

fn debian_package(writer: &mut Writer<'_>) {
    writer.one_of(&[(30, "lib"), (10, "python3-"), (4, "golang-"), (4, "node-"), (52, "")]);
    writer.package_words();
    writer.one_of(&[
        (55, ""),
        (16, "-dev"),
        (8, "-doc"),
        (7, "-common"),
        (5, "-dbgsym"),
        (5, "-data"),
        (4, "-utils"),
    ]);
    writer.add("_");
    writer.version();
    let revision = writer.random.between(1, 9);
    writer.write(format_args!("-{revision}"));
    writer.one_of(&[(60, ""), (15, "+b1"), (15, "+deb12u1"), (10, "~bpo11+1")]);
    let architectures =
        [(40, "_amd64"), (30, "_all"), (12, "_arm64"), (8, "_i386"), (5, "_armhf"), (5, "_riscv64")];
    writer.one_of(&architectures);
    writer.one_of(&[(94, ".deb"), (6, ".udeb")]);
}

fn red_hat_package(writer: &mut Writer<'_>) {
    writer.one_of(&[(20, "lib"), (12, "python3-"), (8, "perl-"), (60, "")]);
    writer.package_words();
    writer.one_of(&[(65, ""), (20, "-devel"), (8, "-libs"), (7, "-debuginfo")]);
    writer.add("-");
    writer.version();
    let revision = writer.random.between(1, 24);
    writer.write(format_args!("-{revision}"));
    writer.one_of(&[(25, ".fc38"), (25, ".fc39"), (20, ".fc40"), (20, ".el9"), (10, ".el8")]);
    writer.one_of(&[(45, ".x86_64.rpm"), (30, ".noarch.rpm"), (15, ".aarch64.rpm"), (10, ".src.rpm")]);
}

fn source_archive(writer: &mut Writer<'_>) {
    writer.package_words();
    writer.one_of(&[(60, "-"), (40, "_")]);
    writer.version();
    writer.one_of(&[(70, ""), (20, ".orig"), (10, "-src")]);
    let ends =
        [(40, ".tar.gz"), (25, ".tar.xz"), (12, ".zip"), (8, ".tar.bz2"), (8, ".dsc"), (7, ".tar.gz.asc")];
    writer.one_of(&ends);
}

fn python_package(writer: &mut Writer<'_>) {
    writer.words(1, 3, "_", Case::Lower);
    writer.add("-");
    writer.version();
    let python = writer.random.between(8, 13);
    let ends = [
        (35, "-py3-none-any.whl".to_owned()),
        (25, format!("-cp3{python}-cp3{python}-manylinux_2_17_x86_64.whl")),
        (15, format!("-cp3{python}-cp3{python}-win_amd64.whl")),
        (15, format!("-cp3{python}-cp3{python}-macosx_11_0_arm64.whl")),
        (10, ".tar.gz".to_owned()),
    ];
    let ends = ends.each_ref().map(|(weight, end)| (*weight, end.as_str()));
    writer.one_of(&ends);
}

fn java_archive(writer: &mut Writer<'_>) {
    writer.words(2, 4, "-", Case::Lower);
    writer.add("-");
    writer.version();
    writer.one_of(&[(55, ""), (10, "-SNAPSHOT"), (10, ".Final"), (10, ".RELEASE"), (15, "-alpha")]);
    let ends = [(50, ".jar"), (20, "-sources.jar"), (10, "-javadoc.jar"), (12, ".pom"), (8, ".jar.sha1")];
    writer.one_of(&ends);
}

fn disc_image(writer: &mut Writer<'_>) {
    writer.words(1, 2, "-", Case::Lower);
    writer.add("-");
    writer.version();
    writer.one_of(&[(50, "-amd64"), (20, "-x86_64"), (15, "-arm64"), (15, "-i386")]);
    writer.one_of(&[(30, "-netinst"), (30, "-desktop"), (20, "-live"), (20, "-dvd-1")]);
    writer.one_of(&[(75, ".iso"), (15, ".img.xz"), (10, ".iso.torrent")]);
}

fn song(writer: &mut Writer<'_>) {
    let track = writer.random.between(1, 22);
    if writer.random.percent(70) {
        writer.write(format_args!("{track:02} - "));
    }
    if writer.random.percent(60) {
        writer.words(1, 3, " ", Case::Title);
        writer.add(" - ");
    }
    writer.words(1, 5, " ", Case::Title);
    let ends = [(70, ""), (8, " (Live)"), (8, " (Remastered)"), (7, " (Radio Edit)"), (7, " [Bonus Track]")];
    writer.one_of(&ends);
    writer.one_of(&[(55, ".mp3"), (28, ".flac"), (8, ".ogg"), (6, ".m4a"), (3, ".wav")]);
}

fn film(writer: &mut Writer<'_>) {
    writer.words(1, 5, ".", Case::Title);
    let (season, episode) = (writer.random.between(1, 9), writer.random.between(1, 24));
    if writer.random.percent(45) {
        writer.write(format_args!(".S{season:02}E{episode:02}"));
    } else {
        writer.add(".");
        writer.year();
    }
    writer.one_of(&[(45, ".1080p"), (30, ".720p"), (15, ".2160p"), (10, "")]);
    writer.one_of(&[(45, ".BluRay.x264"), (30, ".WEB-DL.H264"), (15, ".WEBRip.x265"), (10, ".HDTV.XviD")]);
    writer.add("-");
    writer.words(1, 1, "", Case::Upper);
    writer.one_of(&[(70, ".mkv"), (15, ".mp4"), (8, ".srt"), (7, ".avi")]);
}

fn book(writer: &mut Writer<'_>) {
    writer.words(2, 2, " ", Case::Title);
    writer.add(" - ");
    writer.words(2, 6, " ", Case::Title);
    let edition = writer.random.between(2, 9);
    if writer.random.percent(40) {
        writer.write(format_args!(" ({edition}. ed., "));
        writer.year();
        writer.add(")");
    }
    writer.one_of(&[(60, ".pdf"), (25, ".epub"), (8, ".mobi"), (7, ".djvu")]);
}

fn photo(writer: &mut Writer<'_>) {
    let number = writer.random.below(10_000);
    let start = writer.random.one_of(&["IMG_", "DSC_", "PXL_", "P"]);
    writer.add(start);
    if writer.random.percent(60) {
        writer.date("");
        writer.add("_");
        writer.clock();
    } else {
        writer.write(format_args!("{number:04} "));
        writer.words(1, 3, " ", Case::Lower);
    }
    if writer.is_foreign {
        writer.add(" ");
        writer.words(1, 1, "", Case::Lower);
    }
    writer.one_of(&[(70, ".jpg"), (10, ".JPG"), (8, ".png"), (6, ".heic"), (6, ".CR2")]);
}

fn document(writer: &mut Writer<'_>) {
    writer.words(1, 1, "", Case::Title);
    writer.add(" ");
    writer.words(1, 3, " ", Case::Lower);
    writer.add(" ");
    writer.date("-");
    writer.one_of(&[(50, ""), (15, " (final)"), (15, " v2"), (10, " - Copy"), (10, " (1)")]);
    let ends = [(40, ".pdf"), (25, ".docx"), (12, ".xlsx"), (8, ".pptx"), (7, ".odt"), (8, ".txt")];
    writer.one_of(&ends);
}

fn rust_output(writer: &mut Writer<'_>) {
    writer.one_of(&[(70, "lib"), (30, "")]);
    writer.words(1, 2, "_", Case::Lower);
    writer.add("-");
    writer.hexadecimal(16);
    writer.one_of(&[(40, ".rlib"), (30, ".rmeta"), (15, ".d"), (10, ".o"), (5, ".so")]);
}

fn web_asset(writer: &mut Writer<'_>) {
    writer.words(1, 3, "-", Case::Lower);
    writer.add(".");
    writer.hexadecimal(8);
    writer.one_of(&[(70, ""), (30, ".chunk")]);
    writer.one_of(&[(45, ".js"), (20, ".css"), (15, ".js.map"), (10, ".svg"), (10, ".woff2")]);
}

fn source_file(writer: &mut Writer<'_>) {
    if writer.random.percent(50) {
        writer.words(3, 5, "", Case::Title);
        writer.one_of(&[(60, ".java"), (20, ".class"), (20, ".cs")]);
    } else {
        writer.one_of(&[(40, "test_"), (60, "")]);
        writer.words(2, 4, "_", Case::Lower);
        let ends = [(30, ".py"), (25, ".c"), (15, ".h"), (15, ".rs"), (15, ".cpython-311.pyc")];
        writer.one_of(&ends);
    }
}

fn log(writer: &mut Writer<'_>) {
    writer.words(1, 3, "-", Case::Lower);
    writer.add("-");
    writer.date("");
    writer.add("-");
    writer.clock();
    writer.one_of(&[(50, ".log"), (50, ".log.gz")]);
}

fn table(writer: &mut Writer<'_>) {
    writer.words(2, 3, "_", Case::Lower);
    writer.add("_");
    writer.date("-");
    let part = writer.random.below(1_000);
    writer.write(format_args!("_part{part:03}"));
    writer.one_of(&[(35, ".csv.gz"), (30, ".csv"), (20, ".parquet"), (15, ".json")]);
}

impl Writer<'_> {
    fn add(&mut self, text: &str) {
        self.name.push_str(text);
    }

    fn write(&mut self, arguments: fmt::Arguments<'_>) {
        fmt::Write::write_fmt(&mut self.name, arguments).expect("a String takes everything");
    }

    fn one_of(&mut self, choices: &[(usize, &str)]) {
        let choice = self.random.one_of_weighted(choices);
        self.name.push_str(choice);
    }

    fn words(&mut self, least: usize, most: usize, between: &str, case: Case) {
        for number in 0..self.random.between(least, most) {
            if number > 0 {
                self.add(between);
            }
            if std::mem::take(&mut self.is_foreign) {
                let word = foreign(self.random);
                self.add(word);
            } else {
                let word = self.vocabulary.word(self.random);
                write_word(&mut self.name, word, case);
            }
        }
    }

    /// One to three words of a package's name, perhaps with the number of its interface.
    fn package_words(&mut self) {
        self.words(1, 3, "-", Case::Lower);
        let number = self.random.between(1, 12);
        if self.random.percent(20) {
            self.write(format_args!("{number}"));
        }
    }

    fn version(&mut self) {
        let random = &mut self.random;
        let (major, minor, patch) = (random.below(13), random.below(40), random.below(25));
        let parts = random.one_of_weighted(&[(20, 2), (70, 3), (10, 4)]);
        self.write(format_args!("{major}.{minor}"));
        if parts > 2 {
            self.write(format_args!(".{patch}"));
        }
        if parts > 3 {
            self.add("+git");
            self.date("");
        }
    }

    /// Later years more often.
    fn year(&mut self) {
        let ago = self.random.below(35).min(self.random.below(35));
        self.write(format_args!("{}", 2024 - ago));
    }

    fn date(&mut self, between: &str) {
        self.year();
        let (month, day) = (self.random.between(1, 12), self.random.between(1, 28));
        self.write(format_args!("{between}{month:02}{between}{day:02}"));
    }

    fn clock(&mut self) {
        let random = &mut self.random;
        let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
        self.write(format_args!("{hour:02}{minute:02}{second:02}"));
    }

    fn hexadecimal(&mut self, digits: usize) {
        let bits = self.random.next() >> (64 - 4 * digits);
        self.write(format_args!("{bits:0digits$x}"));
    }
}

fn write_word(name: &mut String, word: &str, case: Case) {
    let capitals = match case {
        Case::Lower => 0,
        Case::Title => 1,
        Case::Upper => word.len(),
    };
    let (start, rest) = word.split_at(capitals);
    name.extend(start.chars().map(|letter| letter.to_ascii_uppercase()));
    name.push_str(rest);
}
