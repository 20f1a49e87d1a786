import { TestEnvironment } from 'jest-environment-node';

const sharedWithHost = [
  'ArrayBuffer',
  'SharedArrayBuffer',
  'DataView',
  'Int8Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int16Array',
  'Uint16Array',
  'Int32Array',
  'Uint32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
];

/**
 * Jest gives each test file a realm of its own, whose typed arrays are not the host's. The native addon of
 * onnxruntime-node compares against the host's classes and refuses every other, so the realm borrows them.
 */
export default class HostTypedArraysEnvironment extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    for (const name of sharedWithHost) this.global[name] = globalThis[name];
  }
}
