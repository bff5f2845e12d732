// Builds the three programs into dist/, so that they start quickly: bundles, split where a command loads code on demand, and
// beside each its compiled form, which the program takes in place of compiling (src/cli/built-program.ts).
// usage: node .ci/build.mjs GIT_REF
// Packages with native parts, and etcd3, stay in node_modules. The runtime must be the one that will run the programs: another
// one does not take the compiled form, and compiles at each start.
import { build, transform } from 'esbuild';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';

const dist = resolve('dist');
const folder = resolve('dist.new');
const entries = {
  teleport: 'src/cli/teleport/run.ts',
  tctl: 'src/cli/tctl/run.ts',
  tsh: 'src/cli/tsh/run.ts',
  'dir-worker': 'backends/dir/worker.ts',
};
const common = { platform: 'node', target: 'node24', logLevel: 'warning' };

/** `yargs/helpers` loads all of yargs to hand out its parser, which costs each program 60 ms. */
const parserAlone = {
  name: 'the parser of yargs alone',
  setup(b) {
    const ofYargs = createRequire(createRequire(import.meta.url).resolve('yargs'));
    b.onResolve({ filter: /^yargs\/helpers$/ }, () => ({ path: 'parser', namespace: 'yargs' }));
    b.onLoad({ filter: /.*/, namespace: 'yargs' }, () => ({
      contents: `export { default as Parser } from ${JSON.stringify(ofYargs.resolve('yargs-parser'))}`,
      resolveDir: folder,
    }));
  },
};

/** Names and texts of the parts: modules of one program or of several. */
async function parts() {
  const { outputFiles } = await build({
    ...common,
    entryPoints: entries,
    bundle: true,
    splitting: true,
    format: 'esm',
    outdir: folder,
    write: false,
    external: ['ssh2', 'koffi', 'cpu-features', 'etcd3'],
    define: { __GIT_REF__: JSON.stringify(process.argv[2] ?? '') },
    plugins: [parserAlone],
  });
  // Splitting is for ES modules only, and those cannot be loaded from their compiled form.
  return Promise.all(
    outputFiles.map(async ({ path, text }) => {
      const { code } = await transform(text, {
        ...common,
        format: 'cjs',
        supported: { 'dynamic-import': false },
        define: { 'import.meta.url': '__importMetaUrl' },
      });
      const name = basename(path, '.js');
      return { name: name in entries ? `${name}-program` : name, code };
    }),
  );
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
const made = await parts();
writeFileSync(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
await build({
  ...common,
  entryPoints: { 'built-program': 'src/cli/built-program.ts' },
  bundle: true,
  format: 'cjs',
  outdir: folder,
});
for (const { name, code } of made) writeFileSync(join(folder, `${name}.js`), code);
for (const name of Object.keys(entries))
  writeFileSync(
    join(folder, `${name}.js`),
    `require('./built-program.js').runBuilt('${name}-program', __dirname);\n`,
  );

// All functions, which the engine otherwise compiles when they are first called: what is called at a start is not known here.
// The setting is part of what the engine compares before it takes a compiled form, so it is taken back before that is written.
const { keptForm, sourceOf } = createRequire(import.meta.url)(join(folder, 'built-program.js'));
setFlagsFromString('--no-lazy');
const scripts = made.map(({ name, code }) => {
  const file = join(folder, `${name}.js`);
  return { file, text: Buffer.from(code), script: new Script(sourceOf(code), { filename: file }) };
});
setFlagsFromString('--lazy');
for (const { file, text, script } of scripts)
  writeFileSync(`${file}.compiled`, keptForm(text, script.createCachedData()));
rmSync(dist, { recursive: true, force: true });
renameSync(folder, dist);
