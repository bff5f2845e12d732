/** Which room may import which. Read top to bottom: lower layers first. */
const rooms = {
  base: [],
  log: ['base'],
  pki: ['base'],
  domain: ['log', 'base'],
  views: ['domain', 'log', 'base'],
  ssh: ['pki', 'base'],
  machine: ['ssh', 'base'],
  transfer: ['pki', 'base'],
  tunnel: ['pki', 'base'],
  recording: ['base'],
  api: ['domain', 'recording', 'pki', 'log', 'base'],
  auth: ['api', 'views', 'domain', 'recording', 'pki', 'log', 'base'],
  node: ['api', 'views', 'domain', 'transfer', 'machine', 'ssh', 'tunnel', 'recording', 'pki', 'log', 'base'],
  proxy: ['api', 'views', 'domain', 'ssh', 'tunnel', 'recording', 'pki', 'log', 'base'],
  process: [
    'proxy',
    'node',
    'auth',
    'api',
    'views',
    'domain',
    'machine',
    'ssh',
    'tunnel',
    'recording',
    'pki',
    'log',
    'base',
  ],
  cli: ['process', 'api', 'transfer', 'recording', 'machine', 'ssh', 'pki', 'domain', 'log', 'base'],
};
/** Which room owns which package. */
const fences = {
  ssh2: 'src/ssh',
  koffi: 'src/(ssh|machine)',
  qrcode: 'src/(proxy|cli)',
  'node-forge': 'src/pki',
  winston: 'src/process',
  yargs: 'src/cli',
  yaml: 'src/(process|cli)',
  hono: 'src/(api|proxy)',
  '@hono/': 'src/(api|proxy)',
  etcd3: 'backends/etcd',
  '@aws-sdk/': 'backends/(dynamodb|kms|objects)',
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
      from: { path: '^src/', pathNot: '^src/process/store/open-backend\\.ts$' },
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
      // Node forks: a copy of the daemon's page tables, in its event loop. A successor is started once, `flock` before anything serves, the resolver with the first question after minutes; tsh is small.
      name: 'programs-have-one-starter',
      severity: 'error',
      from: {
        path: '^(src|backends)/',
        pathNot: `^src/machine/program-starter\\.ts$|^src/(process/lifecycle/(successor|data-dir-lock)|base/resolver-process)\\.ts$|^src/cli/tsh/|^src/cli/tctl/resources/edited\\.ts$|^backends/(conformance/|dir/trial-)|${test}`,
      },
      to: { path: '^(node:)?child_process$' },
    },
    {
      // What both doors of the proxy need stands beside them.
      name: 'doors-of-the-proxy-are-strangers',
      severity: 'error',
      from: { path: '^src/proxy/(ssh|web)/', pathNot: test },
      to: { path: '^src/proxy/(ssh|web)/', pathNot: '^src/proxy/$1/' },
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
