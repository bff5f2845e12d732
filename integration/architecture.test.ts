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
import { cruise, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
// @ts-expect-error -- the configuration is plain JavaScript, for the command line
import untyped from '../.dependency-cruiser.mjs';

const config = untyped as { forbidden: (IForbiddenRuleType & { name: string })[]; options: object };
const rooms = readdirSync('src');

describe('the house', () => {
  it('has at most thirteen rooms', () => {
    expect(rooms.length).toBeLessThanOrEqual(13);
  });
  it.each([...rooms.map((room) => `src/${room}`), ...readdirSync('backends').map((b) => `backends/${b}`)])(
    'says what %s is for, in at most 40 lines',
    (folder) => {
      expect(existsSync(`${folder}/README.md`)).toBe(true);
      expect(readFileSync(`${folder}/README.md`, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(
        40,
      );
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
