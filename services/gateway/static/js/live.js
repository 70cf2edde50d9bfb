// The stream of states. Whoever hears nothing for a while no longer knows anything, and says so.

const SILENT_AFTER_MS = 12_000;
const RETRY_MS = 3_000;

export function follow({ onState, onEvents, onLost }) {
  let source = null;
  let watchdog = null;
  let retry = null;

  const heard = () => {
    clearTimeout(watchdog);
    watchdog = setTimeout(lost, SILENT_AFTER_MS);
  };

  function lost() {
    close();
    onLost();
    retry = setTimeout(open, RETRY_MS);
  }

  function close() {
    clearTimeout(watchdog);
    clearTimeout(retry);
    source?.close();
    source = null;
  }

  function open() {
    close();
    source = new EventSource("/api/stream");
    source.addEventListener("state", (message) => { heard(); onState(JSON.parse(message.data)); });
    source.addEventListener("events", (message) => { heard(); onEvents(JSON.parse(message.data)); });
    source.addEventListener("beat", heard);
    source.addEventListener("error", lost);
    heard();
  }

  // A browser opens only so many connections to one server: a hidden page gives up its own, and one that is left, too.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (shown) => { if (shown.persisted) open(); });
  open();
}

// The same state with everything live unknown.
export function unknown(state) {
  const blank = (position) => ({ ...position, power_w: null, voltage_v: null, relay_on: null, fault: null });
  return {
    ...state,
    connected: false,
    controller: null,
    load_w: null,
    import_w: null,
    positions: Object.fromEntries(Object.entries(state.positions).map(([name, position]) => [name, blank(position)])),
    battery: { ...state.battery, soc_pct: null, low_pct: null, high_pct: null, source: null, ac_output_on: null },
    services: {},
  };
}
