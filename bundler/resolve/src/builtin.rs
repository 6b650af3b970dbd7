//! Modules that Node has and a browser hasn't.

/// Modules of Node by name, without `node:`.
const NAMES: &[&str] = &[
    "assert",
    "assert/strict",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "dns/promises",
    "domain",
    "events",
    "fs",
    "fs/promises",
    "http",
    "http2",
    "https",
    "inspector",
    "inspector/promises",
    "module",
    "net",
    "os",
    "path",
    "path/posix",
    "path/win32",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "readline/promises",
    "repl",
    "stream",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "string_decoder",
    "sys",
    "timers",
    "timers/promises",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "util/types",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];

/// Whether Node has a module of this name.
pub(crate) fn is_builtin(name: &str) -> bool {
    NAMES.binary_search(&name).is_ok()
}

/// The npm package that does a module's work in browsers.
pub(crate) fn stand_in(name: &str) -> Option<&'static str> {
    Some(match name {
        "assert" => "assert",
        "buffer" => "buffer",
        "console" => "console-browserify",
        "constants" => "constants-browserify",
        "crypto" => "crypto-browserify",
        "domain" => "domain-browser",
        "events" => "events",
        "http" => "stream-http",
        "https" => "https-browserify",
        "os" => "os-browserify",
        "path" | "path/posix" => "path-browserify",
        "process" => "process",
        "punycode" => "punycode",
        "querystring" => "querystring-es3",
        "stream" => "stream-browserify",
        "string_decoder" => "string_decoder",
        "timers" => "timers-browserify",
        "tty" => "tty-browserify",
        "url" => "url",
        "util" => "util",
        "vm" => "vm-browserify",
        "zlib" => "browserify-zlib",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::NAMES;

    #[test]
    fn names_can_be_searched() {
        assert!(NAMES.is_sorted());
    }
}
