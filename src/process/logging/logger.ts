import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Writable } from 'node:stream';
import winston from 'winston';
import { CodedError } from '../../base/errors.ts';
import type { LogSink } from '../../base/log-sink.ts';
import { printableLine } from '../../base/printable.ts';
import { realWorld } from '../../base/world.ts';
import { type LogOutput, type LogOutputOptions, openLogOutput } from './log-output.ts';
import { fileTarget, standardTarget } from './log-target.ts';

export interface LoggerOptions {
  readonly output: string;
  readonly severity: string;
  readonly format: 'text' | 'json';
}

/** Where winston keeps the line. Source: triple-beam. */
const messageSymbol = Symbol.for('message');

export type Logger = (component: string) => LogSink;

export interface OpenLogger {
  readonly logger: Logger;
  readonly output: Pick<LogOutput, 'reopen' | 'trouble' | 'dropped'>;
  /** Waits for what was written, as far as it can be. */
  readonly close: () => Promise<void>;
}

/**
 * One logger for the process. Every line carries time, level, component. No failure of its file or stream
 * ends or blocks the process: `log-output.ts`.
 * @throws CodedError `misconfigured` for an output that cannot be written now.
 */
export function openLogger(options: LoggerOptions): OpenLogger {
  const format = formatOf(options.format);
  const output = outputOf(options.output, (message, fields) => {
    const info = { level: 'error', component: 'log', message, ...fields };
    return textOf(format.transform(info));
  });
  const root = winston.createLogger({ level: levelOf(options.severity), format });
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston's own types disagree on this class
  root.add(linesTo(output));
  const sink = (component: string): LogSink => {
    const write =
      (level: string) =>
      (message: string, fields: Record<string, unknown> = {}): void => {
        // Lines after the end have nowhere to go, and are ignored.
        if (root.writable) root.log({ level, message, component, ...fields });
      };
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  };
  return {
    logger: sink,
    output,
    close: async () => {
      await new Promise((resolve) => {
        root.once('finish', resolve);
        root.end();
      });
      await output.close();
    },
  };
}

const formatOf = (format: LoggerOptions['format']): winston.Logform.Format =>
  winston.format.combine(
    winston.format.timestamp(),
    ...(format === 'json' ? [winston.format.json(), jsonLine()] : [winston.format.printf(line)]),
  );

function textOf(info: unknown): string {
  const written = (info as Record<symbol, unknown>)[messageSymbol];
  return typeof written === 'string' ? written : '';
}

/** Each line as it is made: winston buffers none, and does not handle failed writes. */
const linesTo = (output: LogOutput): winston.transports.StreamTransportInstance =>
  new winston.transports.Stream({
    eol: '',
    stream: new Writable({
      decodeStrings: false,
      write: (text: string, _encoding, done) => {
        output.write(text);
        done();
      },
    }),
  });

const otherNames: Readonly<Record<string, string>> = { warning: 'warn', err: 'error' };
const levelOf = (severity: string): string => otherNames[severity] ?? severity;

/** Whether a log of that severity contains lines at level info. */
export const showsInfo = (severity: string): boolean => ['info', 'debug'].includes(levelOf(severity));

/** The descriptor that `log.output` names, unless it is a file. */
export function standardStreamOf(output: string): 1 | 2 | undefined {
  if (['stderr', 'error', '2'].includes(output)) return 2;
  return ['stdout', 'out', '1'].includes(output) ? 1 : undefined;
}

function outputOf(output: string, format: LogOutputOptions['format']): LogOutput {
  const common = { format, now: () => realWorld.now(), clock: () => performance.now() };
  const stream = standardStreamOf(output);
  const standardError = (): LogOutput =>
    openLogOutput({ ...common, target: standardTarget(2), name: 'standard error' });
  if (stream === 2) return standardError();
  const instead = standardError();
  const target = stream === 1 ? standardTarget(1) : fileTarget(checkedFile(output), common.clock);
  const own = openLogOutput({
    ...common,
    target,
    name: stream === 1 ? 'standard output' : output,
    instead: (text) => {
      instead.write(text);
    },
  });
  return {
    write: (text) => {
      own.write(text);
    },
    reopen: () => {
      own.reopen();
    },
    trouble: () => own.trouble(),
    dropped: () => own.dropped(),
    close: async () => {
      await own.close();
      await instead.close();
    },
  };
}

/** @throws CodedError `misconfigured` when it cannot be created there. */
function checkedFile(output: string): string {
  if (output === 'syslog')
    throw new CodedError(
      'misconfigured',
      'log.output: syslog is not in this release; use stderr (systemd keeps it) or a path',
    );
  const folder = dirname(output);
  try {
    if (!statSync(folder).isDirectory()) throw new Error('not a directory');
    accessSync(folder, constants.W_OK);
  } catch {
    throw new CodedError(
      'misconfigured',
      `log.output: cannot write ${output}: ${folder} is not a directory one can write to`,
    );
  }
  return output;
}

function line({
  timestamp,
  level,
  component,
  message,
  ...fields
}: winston.Logform.TransformableInfo): string {
  const text = lineText(String(message), fields);
  return `${String(timestamp)} ${level.toUpperCase().padEnd(5)} [${String(component).toUpperCase()}] ${text}`;
}

/** A message and its fields on one line. */
export function lineText(message: string, fields: Readonly<Record<string, unknown>>): string {
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${valueText(value)}`)
    .join('');
  // A name or message from outside must not be able to forge a line of its own, or control a terminal.
  return printableLine(`${message}${rest}`);
}

const valueText = (value: unknown): string =>
  typeof value === 'bigint' ? value.toString() : JSON.stringify(value);

/**
 * The last step of the JSON form: characters that JSON leaves as they are (C1, direction marks) are escaped
 * as JSON does.
 */
const jsonLine = winston.format((info) => {
  const written: unknown = info[messageSymbol];
  if (typeof written === 'string') info[messageSymbol] = printableLine(written);
  return info;
});
