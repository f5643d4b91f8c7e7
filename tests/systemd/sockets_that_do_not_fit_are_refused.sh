#!/bin/sh
. /scenarios/support/lib.sh

start_signer
refused() {
    systemctl reset-failed cryftgo-tee.service cryfttee.socket 2>/dev/null || :
    systemctl start cryftgo-tee.service && fail "$1: started"
    within 5 is_down || fail "$1: the verifier is $(property ActiveState), its socket $(property ActiveState cryfttee.socket)"
    same "$1: the exit code" 78 "$(property ExecMainStatus)"
    case "$(events refused | tail -n 1)" in
    *"step sockets"*"$2"*) ;;
    *) fail "$1: the reason is '$(events refused | tail -n 1)'" ;;
    esac
    same "$1: processes of the sidecar" "" "$(processes_of cryfttee)"
    same "$1: launches of the sidecar" 0 "$(events launched | grep -c . || :)"
}

dropin cryfttee.socket <<END
[Socket]
ListenStream=
ListenDatagram=/run/cryfttee.sock
END
refused "a datagram socket" "does not fit the transport uds"

dropin cryfttee.socket <<END
[Socket]
ListenStream=/run/cryfttee-2.sock
END
refused "two sockets" "2 sockets"

dropin cryfttee.socket <<END
[Socket]
ListenStream=
ListenSequentialPacket=/run/cryfttee.sock
END
refused "a packet socket" "does not fit the transport uds"

dropin cryfttee.socket <<END
[Socket]
ListenStream=
ListenStream=127.0.0.1:8787
END
refused "a TCP socket for the transport uds" "does not fit the transport uds"

dropin cryfttee.socket <<END
[Socket]
ListenFIFO=/run/cryfttee.fifo
END
refused "a FIFO besides" "2 sockets"

dropin cryfttee.socket <<END
END
# Nothing handed over at all.
dropin cryftgo-tee.service <<END
[Unit]
StartLimitIntervalSec=0
[Service]
UnsetEnvironment=LISTEN_FDS
END
refused "no socket" "no socket was handed over"

rm /run/systemd/system/cryftgo-tee.service.d/scenario.conf
systemctl daemon-reload
systemctl reset-failed
systemctl start cryftgo-tee.service || fail "the socket as it is shipped does not fit: $(property Result)"
