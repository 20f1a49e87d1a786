// The layers of docs/architecture.md: programs know core, core knows nobody, programs do not know each other.
const programs = ['operator', 'server', 'queue-worker', 'cli'];

export default {
  forbidden: [
    {
      name: 'core-knows-nobody',
      severity: 'error',
      from: { path: '^core/' },
      to: { path: `^(${programs.join('|')}|test|examples|bench|scripts)/` },
    },
    ...programs.map((program) => ({
      name: `${program}-knows-core-only`,
      severity: 'error',
      from: { path: `^${program}/` },
      to: {
        path: `^(${[...programs.filter((other) => other !== program), 'examples', 'bench', 'scripts'].join('|')})/`,
      },
    })),
    {
      name: 'operator-never-loads-a-model',
      severity: 'error',
      from: { path: '^operator/' },
      to: { path: '^core/src/(model|warehouse)/' },
    },
    {
      name: 'product-code-does-not-import-tests',
      severity: 'error',
      from: { path: `^(core|${programs.join('|')})/`, pathNot: '\\.test\\.ts$' },
      to: { path: '(^test/|\\.test\\.ts$)' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(node_modules|\\.riskmodel|\\.cache)' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
