// To be imported first. Node exchanges what its timers and callbacks keep a context with when AsyncLocalStorage is loaded,
// as a dependency does. What V8 has learnt of them by then fits neither the old nor the new, and it looks their properties
// up with every callback for good: three percent of the time of a server under load.
import 'node:async_hooks';
