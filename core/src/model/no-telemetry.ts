// onnxruntime's Linux builds report usage to their maker over the network unless this is set before the native library
// is loaded. A service that handles applicants talks to nobody it was not told to.
process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
