import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { run, until } from './run-program.ts';

export interface DaemonOptions {
  /** In what fails. */
  readonly name: string;
  readonly config: string;
  readonly diagPort: number;
  /** Default: `bin/teleport` of this tree. */
  readonly program?: string;
}

export interface StartOptions {
  /** Host part of its diagnostics address. */
  readonly diagHost?: string;
  /** argv before the daemon's: `ip netns exec …`, `faketime …`, `prlimit …`. */
  readonly within?: readonly string[];
  readonly args?: readonly string[];
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** How long it took from the signal. */
  readonly ms: number;
}

/**
 * A `teleport start` with a configuration of its own, again and again. Every test's daemon is started here.
 */
export interface DaemonProcess {
  /** Starts it without waiting. */
  spawn(options?: StartOptions): ChildProcess;
  /**
   * Resolves when all is well by /readyz. @throws Error with what it wrote, when it ends before or takes too
   * long.
   */
  ready(): Promise<void>;
  /** `spawn`, and `ready`. */
  start(options?: StartOptions): Promise<void>;
  /** `strict`: whether all is well; `role=proxy`: for that role alone. Undefined: nothing listens there. */
  readyz(query?: string): Promise<{ code: number; body: string } | undefined>;
  /** Of the process that was started last; 0 before. */
  pid(): number;
  /** Undefined before the first start, and while it runs. */
  exitCode(): number | undefined;
  /** `host:port` of /readyz and /metrics, as it was started last. */
  diagAddress(): string;
  /** Waits until its output has the text; returns the line. */
  says(text: string | RegExp, limitMs?: number): Promise<string>;
  /** What it wrote since it was started last. */
  output(): string;
  /** What it wrote to standard error since it was started last. */
  errors(): string;
  /** What it wrote in all its starts. */
  allOutput(): string;
  signal(name: NodeJS.Signals): void;
  /** Sends the signal and waits for the end of the process; at once when none runs. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

/**
 * Set by whoever wants to look at what a test left: folders stay, with the output of each daemon beside its
 * configuration.
 */
const keeps = process.env['KEEP_FOLDERS'] !== undefined;

/** Removes the folder of a test, or prints its name where folders are kept. */
export function removeFolder(path: string): void {
  if (keeps) console.log(`kept: ${path}`);
  else rmSync(path, { recursive: true, force: true });
}

export function daemonProcess({ name, config, diagPort, program }: DaemonOptions): DaemonProcess {
  let child: ChildProcess | undefined;
  let diag = `127.0.0.1:${diagPort}`;
  let within: readonly string[] = [];
  let before = '';
  let output = '';
  let errors = '';
  const runs = (): boolean => child?.exitCode === null && child.signalCode === null;
  const failed = (why: string): Error => new Error(`${name} ${why}:\n${output}`);

  const daemon: DaemonProcess = {
    spawn: (options = {}) => {
      diag = `${options.diagHost ?? '127.0.0.1'}:${diagPort}`;
      within = options.within ?? [];
      before += output;
      output = '';
      errors = '';
      const [command = '', ...args] = [
        ...within,
        program ?? resolve('bin/teleport'),
        ...['start', '--config', config, `--diag-addr=${diag}`],
        ...(options.args ?? []),
      ];
      const started = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
      const keep = (data: Buffer): void => {
        output += data.toString();
        if (keeps) appendFileSync(`${config}.out`, data);
      };
      started.stdout.on('data', keep);
      started.stderr.on('data', (data: Buffer) => {
        errors += data.toString();
        keep(data);
      });
      child = started;
      return started;
    },
    ready: async () => {
      try {
        await until(`${name} to be ready`, async () => {
          if (!runs()) throw new Error(`${name} ended`);
          return (await daemon.readyz('strict'))?.code === 200 ? true : undefined;
        });
      } catch (cause) {
        const last = JSON.stringify(await daemon.readyz('strict'));
        throw new Error(`${String(cause)}\n/readyz: ${last}\n${output}`, { cause });
      }
    },
    start: async (options) => {
      daemon.spawn(options);
      await daemon.ready();
    },
    readyz: (query = '') => askReadyz(diag, query, within[0] === 'ip' ? within : []),
    pid: () => child?.pid ?? 0,
    exitCode: () => child?.exitCode ?? undefined,
    diagAddress: () => diag,
    says: async (text, limitMs) => {
      const has = (line: string): boolean =>
        typeof text === 'string' ? line.includes(text) : text.test(line);
      try {
        return await until(
          `${name} to say ${String(text)}`,
          () => {
            const line = output.split('\n').find(has);
            if (line === undefined && !runs()) throw failed('ended');
            return line;
          },
          limitMs,
        );
      } catch (cause) {
        throw new Error(`${String(cause)}\n${output}`, { cause });
      }
    },
    output: () => output,
    errors: () => errors,
    allOutput: () => before + output,
    signal: (signal) => {
      child?.kill(signal);
    },
    stop: (signal = 'SIGTERM') =>
      new Promise((settle) => {
        const began = performance.now();
        if (child === undefined || !runs()) {
          settle({ code: child?.exitCode ?? null, signal: child?.signalCode ?? null, ms: 0 });
          return;
        }
        child.once('exit', (code, by) => {
          settle({ code, signal: by, ms: performance.now() - began });
        });
        child.kill(signal);
      }),
  };
  return daemon;
}

/** What /readyz answers, asked from inside a network namespace when `inside` names one. */
async function askReadyz(
  diag: string,
  query: string,
  inside: readonly string[],
): Promise<{ code: number; body: string } | undefined> {
  const url = `http://${diag}/readyz?${query}`;
  if (inside.length === 0)
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      return { code: answer.status, body: await answer.text() };
    } catch {
      return undefined; // it does not listen, or does not answer
    }
  const [command, ...args] = [...inside, 'curl', '-sS', '-m', '2', '-w', '\n%{http_code}', url];
  const ran = await run(command, args);
  const [body = '', code = ''] = ran.stdout.split('\n');
  return ran.code === 0 ? { code: Number(code), body } : undefined;
}
