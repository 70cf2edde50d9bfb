"""An example of each answer in the API's description, held to its schema by a test."""

from typing import Any

_EVENT: dict[str, Any] = {
    "id": "20260701-1600-3f9a12",
    "revision": 0,
    "start": "2026-07-01T14:00:00Z",
    "end": "2026-07-01T18:00:00Z",
    "goal": {"kind": "pledge", "reduction_w": 150.0, "import_w": None},
    "methods": ["replacement"],
    "priority": 0,
    "status": "ongoing",
    "status_reason": "",
    "test": False,
    "avoided_wh": 161.5,
    "reduction_wh": 148.2,
    "covered": 1.0,
    "final": False,
    "answer_by": None,
    "unanswered": None,
    "flags": [],
    "intervals": [
        {
            "start": "2026-07-01T14:00:00Z",
            "end": "2026-07-01T15:00:00Z",
            "baseline_wh": 190.0,
            "import_wh": 41.8,
            "avoided_wh": 161.5,
            "pv_wh": 0.0,
            "reduction_wh": 148.2,
            "covered": 1.0,
        }
    ],
}
_UNSURE = {"id": "20260701-1600-3f9a12", "message": "sent, but the controller has not answered yet; the event list shows when it does"}
_PREFERENCES: dict[str, Any] = {
    "goal": {"kind": "minimize", "reduction_w": None, "import_w": None},
    "duration": "PT4H",
    "methods": ["replacement"],
    "participation": "ask",
    "backup_reserve_pct": 20.0,
    "sharing": "event",
    "answer_before": "PT2H",
    "if_unanswered": "decline",
    "max_events_per_week": 3,
    "quiet_hours": "22:00-07:00",
    "no_event_hours": None,
}
_P1 = {
    "present": True,
    "power_w": 0.0,
    "voltage_v": 231.2,
    "age_s": 0.8,
    "has_relay": True,
    "relay_on": False,
    "confirmed_by": "power",
    "fault": None,
}
_STATE: dict[str, Any] = {
    "station": "demo",
    "timezone": "Europe/Paris",
    "connected": True,
    "time": {"now": "2026-07-01T15:12:00Z", "speed": 1.0, "simulated": False},
    "controller": {
        "phase": "ongoing",
        "mode_commanded": 5,
        "mode_confirmed": 5,
        "reason": "event: battery at 78 %, 2 h 48 min left, holding 150 W",
        "reason_code": "holding",
        "reasons": {"de": "Ereignis: Batterie bei 78 %, noch 2 h 48 min, hält 150 W"},
        "goal_w": 150.0,
        "duty": 1.0,
        "event_id": "20260701-1600-3f9a12",
        "next_change": None,
    },
    "positions": {
        "p1": _P1,
        "p3": {**_P1, "power_w": 172.0, "has_relay": False, "relay_on": None, "confirmed_by": None},
        "p4": {**_P1, "power_w": None, "voltage_v": None, "age_s": None, "has_relay": False, "relay_on": None, "confirmed_by": None},
    },
    "load_w": 172.0,
    "import_w": 0.0,
    "battery": {
        "soc_pct": 78.0,
        "low_pct": 76.1,
        "high_pct": 79.9,
        "source": "reading",
        "ac_output_on": True,
        "age_s": 1.4,
        "capacity_wh": 1152.0,
        "floor_pct": 20.0,
        "reserve_pct": 20.0,
    },
    "services": {"controller": {"state": "online", "health": "ok", "detail": "", "version": "0.1.0"}},
    "notices": [],
}
_SHARING = {
    "level": "event",
    "fields": [
        {"name": "event.avoided_wh", "kind": "event", "on": True, "default_on": True, "meaning": "Metered energy that the battery gave"}
    ],
    "link": {
        "network": "north",
        "mqtt": {"state": "connected", "detail": "", "since": "2026-07-01T06:00:00Z"},
        "upload": {"state": "idle", "detail": "", "last_sent": "2026-07-01T12:00:00Z", "pending_rows": 0},
    },
    "received": [],
}
_SENT = {
    "ts": "2026-07-01T19:00:02Z",
    "to": "aggregator.example",
    "route": "http",
    "kind": "event",
    "records": 1,
    "bytes": 412,
    "outcome": "sent",
    "attempts": 1,
    "body": '{"v":1,"network":"north","kind":"event","records":[…]}',
}

ANSWERS: dict[str, Any] = {
    "GET /api/state": _STATE,
    "GET /api/preferences": _PREFERENCES,
    "PATCH /api/preferences": _PREFERENCES,
    "GET /api/stream": "retry: 2000\n\nevent: beat\ndata: {}\n\n",
    "GET /healthz": {"status": "ok", "bus": True, "deciding": True, "detail": ""},
    "GET /api/events": [_EVENT],
    "GET /api/events/{event_id}": _EVENT,
    "POST /api/events": {**_EVENT, "status": "scheduled", "avoided_wh": None, "reduction_wh": None, "covered": None, "intervals": []},
    "POST /api/events 202": _UNSURE,
    "POST /api/events/{event_id}/{action}": {**_EVENT, "status": "opted_out"},
    "POST /api/events/{event_id}/{action} 202": _UNSURE,
    "GET /api/history": {
        "start": "2026-07-01T14:00:00Z",
        "end": "2026-07-01T14:15:00Z",
        "step_s": 300.0,
        "times": [1782914400.0, 1782914700.0, 1782915000.0],
        "series": {"load_w": [171.0, None, 172.0], "soc_pct": [84.0, None, 81.0]},
    },
    "GET /api/events/{event_id}/report": {"event": {"id": "20260701-1600-3f9a12"}, "decisions": [], "final": True},
    "GET /api/sharing": _SHARING,
    "POST /api/sharing/example": {
        "records": [{"kind": "event", "record": {"event_id": "20260701-1600-3f9a12", "avoided_wh": 640.2}}],
        "none_because": None,
    },
    "GET /api/sharing/sent": {"sent": [_SENT], "next": None},
    "GET /api/sharing/sent.csv": "ts,to,route,kind,records,bytes,outcome,attempts,body\r\n",
    "POST /api/sharing/forget": {"outcome": "sent", "detail": "the aggregator has taken the request"},
    "GET /api/notifications": {
        "targets": [{"target": "phone.url", "waiting": 0}],
        "kinds": {
            "event_announced": True,
            "event_starting": True,
            "event_cannot_be_met": True,
            "event_finished": True,
            "device_lost": True,
            "battery_low": False,
        },
    },
    "POST /api/notifications/test": {"results": [{"target": "phone.url", "delivered": True, "detail": ""}]},
}
"""By method and path; with a status where a route has two good answers."""

PROBLEM = {
    "message": "duration: 'soon' is refused; use ISO 8601, such as PT4H",
    "field": "duration",
    "value": "'soon'",
    "remedy": "use ISO 8601, such as PT4H",
}
