//! Draws the table. The only thing that is laid down by hand is where each state stands.

use std::fmt::Write as _;

use super::{Event, State, Word, next, told};

const WIDTH: i32 = 150;
const HEIGHT: i32 = 40;

/// The middle of each state's box.
const fn place(state: State) -> (i32, i32) {
    match state {
        State::Idle => (340, 60),
        State::Measuring => (340, 150),
        State::Appraising => (340, 240),
        State::Launching => (340, 330),
        State::Attesting => (340, 420),
        State::Identifying => (340, 510),
        State::Ready => (340, 620),
        State::Degraded => (620, 620),
        State::Reloading => (340, 760),
        State::Restarting => (95, 330),
        State::Stopping => (900, 150),
        State::Stopped => (900, 60),
        State::Locked => (900, 250),
        State::Failed => (900, 350),
    }
}

/// The three events that end any life are drawn once, from the frame around all states in which they can happen.
const fn ends(event: Event) -> bool {
    matches!(event, Event::StopAsked | Event::TamperingFound | Event::GaveUp)
}

fn words(event: Event) -> String {
    let word = |word: &Word| match word {
        Word::Ready => "READY",
        Word::Reloading => "RELOADING",
        Word::Watchdog => "WATCHDOG",
        Word::Stopping => "STOPPING",
    };
    told(event, false).iter().map(word).collect::<Vec<_>>().join(" ")
}

fn name(event: Event) -> String {
    let mut name = String::new();
    for (at, letter) in format!("{event:?}").char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            name.push(' ');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// Where the line from one box's middle to another's leaves the first box.
fn edge(from: (i32, i32), to: (i32, i32)) -> (i32, i32) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (half_width, half_height) = (WIDTH / 2 + 4, HEIGHT / 2 + 4);
    if dx.abs() * half_height > dy.abs() * half_width {
        let side = half_width * dx.signum();
        (from.0 + side, from.1 + dy * side / dx)
    } else {
        let side = half_height * dy.signum();
        (from.0 + dx * side / dy, from.1 + side)
    }
}

struct Picture(String);

impl Picture {
    fn text(&mut self, at: (i32, i32), class: &str, text: &str) {
        let _ = writeln!(self.0, r#"<text x="{}" y="{}" class="{class}">{text}</text>"#, at.0, at.1);
    }

    fn arrow(&mut self, path: &str) {
        let _ = writeln!(self.0, r#"<path d="{path}" class="edge" marker-end="url(#tip)"/>"#);
    }

    /// An arrow with the events on it, one a line; `shift` moves it sideways, for a pair of states with arrows both ways.
    fn transition(&mut self, from: State, to: State, events: &[Event], shift: i32) {
        let (start, end) = (edge(place(from), place(to)), edge(place(to), place(from)));
        let vertical = (start.0 - end.0).abs() < (start.1 - end.1).abs();
        let moved = |(x, y): (i32, i32)| if vertical { (x + shift, y) } else { (x, y + shift) };
        let (start, end) = (moved(start), moved(end));
        self.arrow(&format!("M{} {} L{} {}", start.0, start.1, end.0, end.1));
        let middle = ((start.0 + end.0) / 2, (start.1 + end.1) / 2);
        for (line, event) in events.iter().enumerate() {
            let down = 13 * i32::try_from(line).unwrap_or(0);
            let text = format!("{}<tspan class=\"told\" dx=\"5\">{}</tspan>", name(*event), words(*event));
            match (vertical, shift < 0) {
                (true, true) => self.text((middle.0 - 8, middle.1 + 4 + down), "event left", &text),
                (true, false) => self.text((middle.0 + 8, middle.1 + 4 + down), "event", &text),
                (false, true) => self.text((middle.0, middle.1 - 7 - down), "event middle", &text),
                (false, false) => self.text((middle.0, middle.1 + 15 + down), "event middle", &text),
            }
        }
    }

    /// The events that lead from a state to itself, listed under or beside it.
    fn stays(&mut self, state: State, events: &[Event]) {
        let (x, y) = place(state);
        for (line, event) in events.iter().enumerate() {
            let down = 13 * i32::try_from(line).unwrap_or(0);
            let text = format!("↻ {}<tspan class=\"told\" dx=\"5\">{}</tspan>", name(*event), words(*event));
            match state {
                State::Ready => self.text((x - WIDTH / 2 - 10, y - 26 + down), "event left", &text),
                State::Degraded => self.text((x - WIDTH / 2, y - 58 + down), "event", &text),
                State::Reloading => self.text((x + WIDTH / 2 + 10, y + 6 + down), "event", &text),
                _ => self.text((x + WIDTH / 2 + 10, y - 18 + down), "event", &text),
            }
        }
    }
}

fn events(from: State, to: State) -> Vec<Event> {
    Event::ALL.into_iter().filter(|event| !ends(*event) && next(from, *event) == Ok(to)).collect()
}

fn draw() -> String {
    let mut picture = Picture(String::from(HEAD));
    let _ = writeln!(
        picture.0,
        r#"<rect x="10" y="20" width="790" height="815" rx="14" class="frame"/>
<rect x="225" y="110" width="240" height="440" rx="14" class="frame"/>"#
    );
    picture.text((24, 40), "note", "any of these states");
    picture.text((236, 126), "note", "a start");

    // From any state in a frame, drawn once each.
    for (y, event, to) in [
        (150, Event::StopAsked, State::Stopping),
        (250, Event::TamperingFound, State::Locked),
        (350, Event::GaveUp, State::Failed),
    ] {
        for from in State::ALL.into_iter().filter(|state| !state.is_end()) {
            assert_eq!(next(from, event), Ok(to), "the frame says that {event:?} leads from {from} to {to}");
        }
        picture.arrow(&format!("M800 {y} L{} {y}", place(to).0 - WIDTH / 2 - 4));
        picture.text(
            (788, y + 4),
            "event left",
            &format!("{}<tspan class=\"told\" dx=\"5\">{}</tspan>", name(event), words(event)),
        );
    }
    let starting: Vec<State> = State::ALL.into_iter().filter(|state| state.is_start()).collect();
    for from in &starting {
        assert_eq!(next(*from, Event::SidecarLost), Ok(State::Restarting));
    }
    picture.arrow("M225 345 L174 345");
    picture.text((200, 364), "event middle", "sidecar");
    picture.text((200, 377), "event middle", "lost");

    for from in State::ALL {
        let itself = events(from, from);
        picture.stays(from, &itself);
        for to in State::ALL {
            let events: Vec<Event> =
                events(from, to).into_iter().filter(|event| *event != Event::SidecarLost || !from.is_start()).collect();
            match (from, to) {
                _ if from == to || events.is_empty() => {}
                // Round the outside, where a straight line would cross other boxes.
                (State::Ready, State::Restarting) => {
                    picture.arrow("M262 632 L60 632 L60 356");
                    picture.text((66, 480), "event", "sidecar lost");
                }
                (State::Reloading, State::Restarting) => picture.arrow("M262 770 L40 770 L40 356"),
                (State::Degraded, State::Restarting) => picture.arrow("M660 644 L660 822 L25 822 L25 356"),
                (State::Degraded, State::Reloading) => {
                    picture.arrow("M600 644 L600 750 L419 750");
                    let text =
                        format!("{}<tspan class=\"told\" dx=\"5\">{}</tspan>", name(events[0]), words(events[0]));
                    picture.text((592, 728), "event left", &text);
                }
                (State::Restarting, State::Measuring) => {
                    picture.arrow("M95 306 L95 150 L260 150");
                    picture.text((102, 142), "event", &name(Event::StartBegan));
                }
                (State::Idle, State::Stopped) => {
                    picture.arrow("M418 60 L820 60");
                    let text =
                        format!("{}<tspan class=\"told\" dx=\"5\">{}</tspan>", name(events[0]), words(events[0]));
                    picture.text((620, 52), "event middle", &text);
                }
                _ if self::events(to, from).is_empty() => {
                    picture.transition(from, to, &events, 0);
                }
                _ => {
                    let first = State::ALL.iter().position(|s| *s == from) < State::ALL.iter().position(|s| *s == to);
                    picture.transition(from, to, &events, if first { -10 } else { 10 });
                }
            }
        }
    }
    for state in State::ALL {
        let (x, y) = place(state);
        let class = match state {
            _ if state.serves() => "state serves",
            State::Locked | State::Failed => "state bad",
            _ => "state",
        };
        let (left, top) = (x - WIDTH / 2, y - HEIGHT / 2);
        let _ = writeln!(
            picture.0,
            r#"<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="8" class="{class}"/>"#
        );
        picture.text((x, y + 5), "name", &state.to_string());
    }
    picture.text((825, 440), "note", "green: clients are served");
    picture.text((825, 458), "note", "capitals: what systemd is told");
    picture.text((825, 476), "note", "in a restart, each step of the start");
    picture.text((825, 494), "note", "is a WATCHDOG too");
    picture.text((825, 518), "note", "Locked: until cryftgo-tee unlock");
    picture.0.push_str("</svg>\n");
    picture.0
}

const HEAD: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1060 850" role="img" aria-label="The states of cryftgo-tee and what leads from one to the other">
<!-- Drawn from src/lifecycle.rs by its test. Do not edit: CRYFTGO_DRAW=1 cargo test lifecycle -->
<style>
svg { background: #fff; font-family: system-ui, sans-serif; }
.state { fill: #eef2f7; stroke: #4a5b70; stroke-width: 1.5; }
.serves { fill: #dff3e3; stroke: #2c7a3f; }
.bad { fill: #fbe3e1; stroke: #a93226; }
.name { font-size: 15px; text-anchor: middle; fill: #16202c; }
.event { font-size: 11.5px; fill: #33414f; }
.left { text-anchor: end; }
.middle { text-anchor: middle; }
.told { font-weight: 700; font-size: 10.5px; fill: #1f5fa8; }
.edge { fill: none; stroke: #4a5b70; stroke-width: 1.3; }
.frame { fill: none; stroke: #9aa7b5; stroke-dasharray: 5 4; }
.note { font-size: 12px; fill: #66727f; }
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#4a5b70"/></marker></defs>
"##;

#[test]
fn the_picture_in_docs_is_drawn_from_the_table_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/lifecycle.svg");
    let drawn = draw();
    if std::env::var_os("CRYFTGO_DRAW").is_some() {
        std::fs::write(path, &drawn).expect("write the picture");
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == drawn, "docs/lifecycle.svg is old; draw it again: CRYFTGO_DRAW=1 cargo test lifecycle");
}
