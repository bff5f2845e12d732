import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { version } from '../../src/base/version.ts';
import { run } from './run-program.ts';

/** What stands in for text that differs from run to run, or from release to release. */
const wildcards: Readonly<Record<string, string>> = {
  '<version>': version.replaceAll('.', '\\.'),
  '<uuid>': '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}',
  '<pin>': 'sha256:[0-9a-f]{64}',
  '<key>': 'ed25519:[A-Za-z0-9+/]{43}=',
  '<token>': '[0-9a-f]{32}',
  '<port>': '\\d{2,5}',
  '<time>': '\\d{4}-\\d\\d-\\d\\d[T ]\\d\\d:\\d\\d(?::\\d\\d(?:\\.\\d+)?)?(?:Z| ?[+-]\\d{4}(?: UTC)?| UTC)?',
  '<number>': '\\d+',
  '<any>': '[^\\n]*',
};

interface Step {
  readonly command: string;
  readonly expected: string;
  readonly exit: number;
}

/**
 * A transcript: lines that begin with `$ ` are commands (a line that ends in `\` goes on), what follows is
 * what they print (standard output, then standard error), `[exit N]` closes a command that does not exit 0,
 * `#` begins a comment.
 */
export function parseTranscript(text: string): Step[] {
  const steps: { command: string; lines: string[]; exit: number }[] = [];
  let continues = false;
  for (const line of text.split('\n')) {
    const last = steps.at(-1);
    const exit = /^\[exit (\d+)\]$/.exec(line);
    if (continues && last !== undefined) last.command += `\n${line}`;
    else if (line.startsWith('$ ')) steps.push({ command: line.slice(2), lines: [], exit: 0 });
    else if (line.startsWith('#')) continue;
    else if (exit !== null && last !== undefined) last.exit = Number(exit[1]);
    else last?.lines.push(line);
    continues = (continues || line.startsWith('$ ')) && line.endsWith('\\');
  }
  return steps.map(({ command, lines, exit }) => ({ command, expected: lines.join('\n').trimEnd(), exit }));
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** True when `actual` is `expected` with its wildcards filled in. */
export function fits(expected: string, actual: string): boolean {
  const pattern = expected
    .split(/(<(?:version|uuid|pin|key|token|port|time|number|any)>)/)
    .map((part) => wildcards[part] ?? escaped(part))
    .join('');
  return new RegExp(`^${pattern}$`).test(actual);
}

/** Runs every command of the transcript in `sh` and compares. Trailing spaces at line ends do not count. */
export async function replay(path: string, env: NodeJS.ProcessEnv, cwd?: string): Promise<void> {
  for (const step of parseTranscript(readFileSync(path, 'utf8'))) {
    const ran = await run('/bin/sh', ['-c', step.command], { env, ...(cwd === undefined ? {} : { cwd }) });
    const printed = clean(ran.stdout + ran.stderr);
    const expected = clean(step.expected);
    if (!fits(expected, printed) || ran.code !== step.exit)
      expect(`$ ${step.command}\n${printed}\n[exit ${String(ran.code)}]`).toBe(
        `$ ${step.command}\n${expected}\n[exit ${step.exit}]`,
      );
  }
}

const clean = (text: string): string => text.replace(/[ \t\r]+$/gm, '').trimEnd();
