// Node runs the TypeScript sources itself, so Jest transforms nothing: start-up stays short and stack traces exact.
export default {
  testEnvironment: '<rootDir>/test/harness/jest-environment.mjs',
  transform: {},
  extensionsToTreatAsEsm: ['.ts'],
  coverageProvider: 'v8',
  testMatch: ['<rootDir>/**/*.test.ts'],
  // `npm test -- --long` runs those that take a quarter of an hour.
  testPathIgnorePatterns: ['/node_modules/', '/.cache/', '/.riskmodel/', '\\.long\\.test\\.ts$'],
  modulePathIgnorePatterns: ['/.cache/', '/.riskmodel/'],
};
