/** Which room may import which. Read top to bottom: lower layers first. */
const rooms = {
  base: [],
  log: ['base'],
  pki: ['base'],
  domain: ['log', 'base'],
  views: ['domain', 'log', 'base'],
  ssh: ['pki', 'base'],
  api: ['domain', 'pki', 'log', 'base'],
  auth: ['api', 'views', 'domain', 'pki', 'log', 'base'],
  node: ['api', 'views', 'domain', 'ssh', 'pki', 'log', 'base'],
  proxy: ['api', 'views', 'domain', 'ssh', 'pki', 'log', 'base'],
  process: ['proxy', 'node', 'auth', 'api', 'views', 'domain', 'ssh', 'pki', 'log', 'base'],
  cli: ['process', 'api', 'ssh', 'pki', 'domain', 'log', 'base'],
};
/** Which room owns which package. */
const fences = {
  ssh2: 'src/ssh',
  koffi: 'src/ssh',
  qrcode: 'src/proxy',
  'node-forge': 'src/pki',
  winston: 'src/process',
  yargs: 'src/cli',
  yaml: 'src/(process|cli)',
  hono: 'src/(api|proxy)',
  '@hono/': 'src/(api|proxy)',
  etcd3: 'backends/etcd',
  '@aws-sdk/': 'backends/(dynamodb|kms)',
};
const test = '\\.test\\.ts$|/testing\\.ts$';
export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(rooms).map(([room, may]) => ({
      name: `${room}-imports-only-${may.join('+') || 'nothing'}`,
      severity: 'error',
      from: { path: `^src/${room}/`, pathNot: test },
      to: { path: '^src/', pathNot: [`^src/(${[room, ...may].join('|')})/`] },
    })),
    {
      name: 'backends-know-only-the-log',
      severity: 'error',
      from: { path: '^backends/' },
      to: { path: '^src/', pathNot: '^src/(log|base)/' },
    },
    {
      name: 'back-ends-are-strangers',
      severity: 'error',
      from: { path: '^backends/([^/]+)/', pathNot: '^backends/conformance/' },
      to: { path: '^backends/', pathNot: '^backends/($1|conformance)/' },
    },
    {
      name: 'one-door-to-backends',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/process/open-backend\\.ts$' },
      to: { path: '^backends/' },
    },
    ...Object.entries(fences).map(([pkg, owner]) => ({
      name: `only-${owner}-imports-${pkg}`,
      severity: 'error',
      from: { path: '^(src|backends)/', pathNot: `^${owner}/` },
      to: { path: `^node_modules/${pkg.replace(/\/?$/, '/')}` },
    })),
    {
      // `src/ssh/ssh2-library.ts` loads it, with our packet layer in place; others may know its types.
      name: 'ssh2-comes-with-our-packets',
      severity: 'error',
      from: { path: '^(src|backends)/' },
      to: { path: '^node_modules/ssh2/', dependencyTypesNot: ['type-only', 'type-import'] },
    },
    {
      name: 'only-auth-writes-the-log',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(auth|log)/|${test}` },
      to: { path: '^src/log/execute' },
    },
    {
      name: 'domain-is-pure',
      severity: 'error',
      from: { path: '^src/(domain|views)/', pathNot: test },
      to: { dependencyTypes: ['core'] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
