import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ESLint, Linter } from 'eslint';
import tseslint from 'typescript-eslint';
import { cruise, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error -- the configuration is plain JavaScript, for the command line
import untyped from '../../.dependency-cruiser.mjs';

const config = untyped as { forbidden: (IForbiddenRuleType & { name: string })[]; options: object };
const rooms = readdirSync('src');

describe('the house', () => {
  it.each([...rooms.map((room) => `src/${room}`), ...readdirSync('backends').map((b) => `backends/${b}`)])(
    'says what %s is for',
    (folder) => {
      expect(readFileSync(`${folder}/README.md`, 'utf8')).toMatch(/^# \S/);
    },
  );
});

/** One file that breaks the rule: its path and what it imports. */
function offence(rule: string): { file: string; imports: string } {
  const room = /^([a-z]+)-imports-only-/.exec(rule)?.[1];
  if (room !== undefined)
    return { file: `src/${room}/bad.ts`, imports: room === 'cli' ? '../proxy/x.ts' : '../cli/x.ts' };
  const fenced = /-imports-(.+)$/.exec(rule)?.[1];
  if (rule.startsWith('only-') && fenced !== undefined)
    return {
      file: `src/base/bad-${fenced.replace(/\W/g, '-')}.ts`,
      imports: fenced.endsWith('/') ? `${fenced}x` : fenced,
    };
  const known: Record<string, { file: string; imports: string }> = {
    'no-circular': { file: 'src/base/circle.ts', imports: './circle-back.ts' },
    'backends-know-only-the-log': { file: 'backends/dir/bad.ts', imports: '../../src/auth/x.ts' },
    'back-ends-are-strangers': { file: 'backends/dir/nosy.ts', imports: '../etcd/x.ts' },
    'one-door-to-backends': { file: 'src/process/back-door.ts', imports: '../../backends/dir/x.ts' },
    'ssh2-comes-with-our-packets': { file: 'src/ssh/own-ssh2.ts', imports: 'ssh2' },
    'programs-have-one-starter': { file: 'src/node/forks.ts', imports: 'node:child_process' },
    'doors-of-the-proxy-are-strangers': { file: 'src/proxy/web/asks.ts', imports: '../ssh/x.ts' },
    'only-auth-writes-the-log': { file: 'src/node/writes.ts', imports: '../log/execute.ts' },
    'domain-is-pure': { file: 'src/domain/impure.ts', imports: 'node:fs' },
  };
  const found = known[rule];
  if (found === undefined) throw new Error(`a wall without a test: ${rule}`);
  return found;
}

describe('every wall', () => {
  const folder = mkdtempSync(join(tmpdir(), 'walls-'));
  let broken: Set<string>;

  const write = (path: string, text: string): void => {
    mkdirSync(join(folder, dirname(path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };

  beforeAll(async () => {
    write('src/base/circle-back.ts', "import './circle.ts';\n");
    for (const rule of config.forbidden) {
      const { file, imports } = offence(rule.name);
      write(file, `import '${imports}';\n`);
      if (imports.startsWith('.')) {
        const target = join(dirname(file), imports);
        if (!existsSync(join(folder, target))) write(target, 'export {};\n');
      } else if (!imports.startsWith('node:')) {
        write(`node_modules/${imports}/package.json`, `{"name":"${imports}","main":"index.js"}`);
        write(`node_modules/${imports}/index.js`, '');
      }
    }
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'tsconfig.json'), '{"compilerOptions":{"module":"nodenext"}}');
    const result = await cruise(['src', 'backends'], {
      ...config.options,
      tsConfig: { fileName: join(folder, 'tsconfig.json') },
      baseDir: folder,
      ruleSet: { forbidden: config.forbidden },
      validate: true,
    });
    broken = new Set((result.output as ICruiseResult).summary.violations.map((v) => v.rule.name));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it.each(config.forbidden.map((rule) => rule.name))('%s can fail', (name) => {
    expect(broken).toContain(name);
  });
});

/**
 * What lint forbids beyond imports between rooms: a line that breaks it, and the file where it may stand all
 * the same.
 */
const forbiddenLines: readonly (readonly [line: string, path: string, home: string])[] = [
  ["import { connect } from 'node:tls'", 'src/api/x.ts', 'src/base/dial-tls.ts'],
  ["import * as tls from 'node:tls'", 'src/api/x.ts', 'src/base/dial-tls.ts'],
  ["import tls from 'tls'", 'src/api/x.ts', 'src/base/dial-tls.ts'],
  ["import { request } from 'node:https'", 'src/cli/tsh/x.ts', 'src/base/dial-tls.ts'],
  ["import { get } from 'node:https'", 'backends/etcd/x.ts', 'src/base/dial-tls.ts'],
  ["import { connect } from 'node:http2'", 'backends/etcd/x.ts', 'src/base/dial-tls.ts'],
  ["import { fetch } from 'undici'", 'src/process/x.ts', 'src/base/dial-tls.ts'],
  ["const { connect } = await import('node:tls')", 'src/process/x.ts', 'src/base/dial-tls.ts'],
  ['await fetch(url)', 'src/process/x.ts', 'src/base/dial-tls.ts'],
  ['await globalThis.fetch(url)', 'src/process/x.ts', 'src/base/dial-tls.ts'],
  ['new WebSocket(url)', 'src/process/x.ts', 'src/base/dial-tls.ts'],
  ['const agent = { rejectUnauthorized: false }', 'backends/kms/x.ts', 'src/base/dial-tls.ts'],
  ['setTimeout(act, ms)', 'src/node/x.ts', 'src/base/timers.ts'],
  ['setInterval(act, ms)', 'backends/etcd/x.ts', 'src/base/timers.ts'],
  ['globalThis.setTimeout(act, ms)', 'src/process/x.ts', 'src/base/timers.ts'],
  ['AbortSignal.timeout(ms)', 'src/base/dial-tls.ts', 'src/base/timers.ts'],
  ['AbortSignal.timeout(ms)', 'src/cli/tsh/ssh/remote-session.ts', 'src/base/timers.ts'],
  ['AbortSignal.timeout(ms)', 'src/cli/program.ts', 'src/base/timers.ts'],
  ["const { setTimeout } = await import('node:timers/promises')", 'src/api/x.ts', 'src/base/timers.ts'],
  ["process.stdout.write('x')", 'src/cli/tctl/x.ts', 'src/cli/cli-io.ts'],
  ["process.stderr.write('x')", 'src/auth/x.ts', 'src/cli/program.ts'],
  ["console.log('x')", 'src/proxy/x.ts', 'src/cli/cli-io.ts'],
  ['process.exit(1)', 'src/process/x.ts', 'src/base/end-process.ts'],
  ["io.raw.stdout.write('x')", 'src/cli/tsh/login/status-command.ts', 'src/cli/tsh/ssh/remote-session.ts'],
];

describe('lint', () => {
  const guards = [
    '@typescript-eslint/no-restricted-imports',
    'no-restricted-globals',
    'no-restricted-properties',
    'no-restricted-syntax',
  ];

  /** What the rules for that file, of those above, say to these lines. */
  async function complaints(line: string, path: string): Promise<readonly string[]> {
    const { rules } = (await new ESLint().calculateConfigForFile(path)) as { rules: Linter.RulesRecord };
    const config: Linter.Config = {
      files: ['**/*.ts'],
      languageOptions: { parser: tseslint.parser },
      plugins: { '@typescript-eslint': tseslint.plugin },
      rules: Object.fromEntries(Object.entries(rules).filter(([name]) => guards.includes(name))),
    };
    return new Linter().verify(line, config, { filename: 'x.ts' }).map((m) => m.ruleId ?? m.message);
  }

  it.each(forbiddenLines)('forbids %s in %s, and not in %s', async (line, path, home) => {
    expect(guards).toContain((await complaints(line, path))[0]);
    expect(await complaints(line, home)).toEqual([]);
  });
  it.each(['node:timers', 'timers', 'node:timers/promises', 'timers/promises'])(
    'forbids timers of %s',
    async (module) => {
      const line = `import { setTimeout } from '${module}'`;
      for (const path of ['src/api/x.ts', 'src/base/dial-tls.ts', 'src/domain/x.ts', 'backends/etcd/x.ts'])
        expect(guards).toContain((await complaints(line, path))[0]);
    },
  );
  it('lets a turn through, which takes no time', async () => {
    const line = "import { setImmediate as turn } from 'node:timers/promises'";
    expect(await complaints(line, 'src/log/x.ts')).toEqual([]);
  });
  it('lets servers and types through', async () => {
    const lines = [
      "import { createServer } from 'node:https';",
      "import { createSecureContext, TLSSocket } from 'node:tls';",
      "import type { ConnectionOptions } from 'node:tls';",
      'createServer({ requestCert: true, rejectUnauthorized: false });',
    ];
    expect(await complaints(lines.join('\n'), 'src/proxy/x.ts')).toEqual([]);
  });
});
