//! Words of which names are made: some hundreds that people know, then made-up ones that can be pronounced. The first ones
//! come often and the last ones hardly ever, as in all languages (Zipf).

use super::random::{Purpose, Random};

/// All words, the frequent ones first.
#[derive(Debug)]
pub(super) struct Vocabulary {
    words: Vec<Box<str>>,
}

/// Enough that ten million names don't wear them out.
const VOCABULARY_WORDS: usize = 40_000;

impl Vocabulary {
    /// The words of this seed. Those that people know are the same for all, in the same order.
    pub(super) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, Purpose::Words);
        let mut words: Vec<Box<str>> = known().map(Box::from).collect();
        while words.len() < VOCABULARY_WORDS {
            words.push(made_up(&mut random).into());
        }
        Self { words }
    }

    /// A word. The chance of each is about one over its place.
    pub(super) fn word(&self, random: &mut Random) -> &str {
        let place = (self.words.len() as f64).powf(random.fraction());
        &self.words[place as usize - 1]
    }
}

/// The words that people know, the frequent ones first.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    KNOWN.split_whitespace()
}

/// A word in other letters than English ones.
pub(super) fn foreign(random: &mut Random) -> &'static str {
    random.one_of(&FOREIGN)
}

/// Two to four syllables.
fn made_up(random: &mut Random) -> String {
    let mut word = String::new();
    for _ in 0..random.one_of_weighted(&[(50, 2), (40, 3), (10, 4)]) {
        word.push_str(random.one_of(&ONSETS));
        word.push_str(random.one_of(&VOWELS));
        word.push_str(random.one_of_weighted(&CODAS));
    }
    word
}

const ONSETS: [&str; 32] = [
    "b", "br", "c", "ch", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl",
    "pr", "r", "s", "sh", "sk", "st", "t", "th", "tr", "v", "w", "y", "z",
];

const VOWELS: [&str; 10] = ["a", "e", "i", "o", "u", "a", "e", "o", "ea", "ou"];

const CODAS: [(usize, &str); 10] =
    [(40, ""), (10, "n"), (8, "r"), (8, "s"), (7, "l"), (6, "t"), (5, "m"), (4, "nd"), (4, "x"), (3, "ck")];

const FOREIGN: [&str; 40] = [
    "Übung",
    "Lösung",
    "Prüfung",
    "Bäume",
    "Größe",
    "Straße",
    "Gedächtnis",
    "Vorträge",
    "Märchen",
    "Schlüssel",
    "été",
    "mémoire",
    "Électricité",
    "théorème",
    "forêt",
    "français",
    "résumé",
    "canción",
    "mañana",
    "corazón",
    "São Paulo",
    "coração",
    "Łódź",
    "příklad",
    "задача",
    "лекция",
    "песня",
    "Москва",
    "учебник",
    "история",
    "фильм",
    "книга",
    "музыка",
    "日本語",
    "東京",
    "講義ノート",
    "写真",
    "音楽",
    "さくら",
    "ガイド",
];

const KNOWN: &str = "
    the data of python core test client and linux server system file common api image web user java module
    tools build config network service base utils main plugin model app node kernel http library text code
    time project video music graph report index parser stream runtime source crypto event engine message
    render window session cache table query storage editor notes debug color audio media driver daemon manager
    handler format schema widget theme font icon locale language compiler debugger package archive backup
    release update security audit policy cluster container docker cloud proxy gateway router switch monitor
    metrics trace logger history journal summary guide manual tutorial handbook reference lecture chapter
    appendix exercise solution exam algebra calculus geometry statistics physics chemistry biology anatomy
    genetics ecology geology astronomy economics finance accounting marketing invoice receipt contract budget
    salary meeting agenda minutes proposal thesis paper draft final review letter resume cover photo album
    portrait landscape holiday wedding birthday summer winter spring autumn morning evening night midnight
    sunrise sunset garden forest mountain river ocean island desert valley bridge tower castle village city
    street station airport harbor market museum theater cinema concert festival parade journey travel voyage
    adventure mystery secret shadow silver golden crimson emerald crystal diamond thunder lightning storm rain
    snow fire water earth wind moon star planet galaxy universe dragon wolf tiger eagle falcon raven phoenix
    serpent lion horse hunter warrior knight soldier captain pirate king queen prince empire kingdom republic
    nation liberty justice honor glory courage freedom destiny legend heart soul dream memory promise silence
    whisper echo melody rhythm harmony symphony sonata ballad anthem chorus remix acoustic electric jazz blues
    rock folk opera piano guitar violin trumpet drum orchestra quartet choir live studio master original
    deluxe edition volume collection anthology complete special extended bonus gnome gtk qt wayland mesa
    vulkan opencl cuda ffmpeg gstreamer pulse alsa pipewire bluetooth wireless ethernet firewall systemd dbus
    udev glib boost eigen numpy scipy pandas matplotlib tensor torch learning neural vision speech robot
    sensor arduino firmware bootloader partition mirror snapshot migration replica shard transaction postgres
    mysql sqlite redis kafka rabbit elastic lucene spark hadoop hive airflow jenkins gradle maven webpack
    babel eslint react angular vue svelte redux bootstrap jquery lodash moment axios express koa hibernate
    jackson guava commons logback junit mockito selenium cucumber pytest django flask celery requests serde
    tokio hyper clap regex rayon tracing anyhow diesel rocket actix axum wasm bindgen cargo rustc clippy
    haskell ocaml erlang elixir clojure scala kotlin swift dart flutter android ios mobile desktop embedded
    perl ruby lua tcl php julia fortran cobol pascal assembler disassembler emulator simulator benchmark
    profiler amiga atari commodore sinclair nintendo sega arcade console demo cracktro tracker sampler synth
    sequencer encyclopedia dictionary atlas almanac catalog directory magazine newspaper newsletter bulletin
    gazette digest recipe cooking baking kitchen wine coffee camping hiking cycling running swimming climbing
    sailing soccer basketball tennis chess poker puzzle quest racing strategy simulation platform shooter
    fantasy abstract accessor adapter allocator binding buffer builder callback channel checker codec
    collector command compat connector context controller converter counter decoder decorator detector dialog
    dispatcher encoder encryption error example exporter extension factory fetch fetcher filter formatter
    fragment framework frontend generator global grammar hash header helper hook identity importer inspector
    instance integration interface iterator kit layout layer lexer linker listener loader locator mapper
    matcher matrix merge middleware mixin mock native notifier object observer operator optimizer option
    output overlay pattern picker pipeline pointer pool printer process processor protocol provider queue
    reader record registry renderer resolver resource response rule scanner scheduler scope script section
    selector serializer shader shell signal socket sorter state static style subscriber support symbol sync
    syntax target task template terminal thread token transform translator transport tree trigger type unit
    upload validator value vector version view visitor watcher worker workflow wrapper writer
";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn known_words_are_distinct_and_come_before_all_others() {
        let distinct: BTreeSet<_> = known().collect();
        assert_eq!(distinct.len(), known().count());
        assert!(distinct.iter().all(|word| word.bytes().all(|letter| letter.is_ascii_lowercase())));
        let vocabulary = Vocabulary::new(1);
        assert!(vocabulary.words.iter().zip(known()).all(|(word, known)| **word == *known));
    }

    #[test]
    fn the_first_words_come_often_and_the_last_ones_too() {
        let (vocabulary, mut random) = (Vocabulary::new(1), Random::new(2, Purpose::Names));
        let drawn: Vec<&str> = (0..100_000).map(|_| vocabulary.word(&mut random)).collect();
        let first = drawn.iter().filter(|word| **word == "the").count();
        let distinct: BTreeSet<_> = drawn.iter().collect();
        assert!((5_000..8_000).contains(&first), "{first}");
        assert!(distinct.len() > 10_000, "{}", distinct.len());
    }
}
