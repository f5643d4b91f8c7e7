//! An event as it will be sent, apart from its place in the chain.

use super::chain::Moment;
use super::event::{Event, Severity};
use super::in_step;
use crate::text::sanitise;

/// What happened, when, in the fields that are sent.
#[derive(Debug, Clone)]
pub(super) struct Happened {
    pub(super) fields: Vec<(&'static str, String)>,
    pub(super) moment: Moment,
    pub(super) severity: Severity,
}

/// The fields of an event. A value is sanitised and so has no line break, which is what journald and the chain require.
pub(super) fn happened(step: Option<u8>, event: &Event, moment: Moment) -> Happened {
    let severity = event.severity();
    let mut fields = vec![
        ("MESSAGE", sanitise(&in_step(step, event))),
        ("MESSAGE_ID", event.id().to_owned()),
        ("PRIORITY", (severity as u8).to_string()),
        ("SYSLOG_IDENTIFIER", "cryftgo-tee".to_owned()),
    ];
    fields.extend(step.map(|number| ("CRYFTTEE_STEP_NUMBER", number.to_string())));
    fields.extend(event.fields().into_iter().map(|(name, value)| (name, sanitise(&value))));
    Happened { fields, moment, severity }
}

#[cfg(test)]
mod tests {
    use super::super::chain::{ChainId, Link, seal};
    use super::*;

    fn datagram(step: Option<u8>, event: &Event) -> String {
        let moment = Moment { boot: "b".repeat(32), monotonic: 1, wall: 2 };
        let fields = happened(step, event, moment.clone()).fields;
        let sealed = seal(Link::genesis(ChainId::new([1; 16])), &moment, &fields);
        String::from_utf8(sealed.datagram).expect("text")
    }

    #[test]
    fn a_step_of_a_start_carries_its_number_in_the_message_and_in_a_field() {
        let event = Event::SharedUser { pid: 7 };
        let text = datagram(Some(4), &event);
        assert!(text.starts_with("MESSAGE=[4/9] The sidecar, pid 7,"), "{text}");
        assert!(text.contains("\nCRYFTTEE_STEP_NUMBER=4\n"), "{text}");
        let text = datagram(None, &event);
        assert!(text.starts_with("MESSAGE=The sidecar") && !text.contains("STEP_NUMBER"), "{text}");
    }

    #[test]
    fn a_hostile_value_cannot_add_a_field() {
        let event = Event::Refused {
            step: "attest",
            reason: "x\nPRIORITY=0\nMESSAGE=all is well\nAUDIT_SEQ=1".to_owned(),
            exit_code: contract::exit::INTEGRITY,
        };
        let text = datagram(None, &event);
        assert_eq!(text.lines().filter(|line| line.starts_with("MESSAGE=")).count(), 1);
        assert_eq!(text.lines().filter(|line| line.starts_with("AUDIT_SEQ=")).count(), 1);
        assert_eq!(text.lines().filter(|line| line.starts_with("PRIORITY=")).collect::<Vec<_>>(), ["PRIORITY=2"]);
        assert!(text.contains("\nCRYFTTEE_EVENT=refused\n"), "{text}");
    }
}
