import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import winston from 'winston';
import { CodedError } from '../base/errors.ts';
import type { LogSink } from '../base/log-sink.ts';
import { printableLine } from '../base/printable.ts';

export interface LoggerOptions {
  readonly output: string;
  readonly severity: string;
  readonly format: 'text' | 'json';
}

/** Where winston keeps the line. Source: triple-beam. */
const messageSymbol = Symbol.for('message');

export type Logger = (component: string) => LogSink;

/** One logger for the process. Every line carries time, level, component. `close` waits for what was written. */
export function openLogger(options: LoggerOptions): { logger: Logger; close: () => Promise<void> } {
  const root = winston.createLogger({
    level: levelOf(options.severity),
    format: winston.format.combine(
      winston.format.timestamp(),
      ...(options.format === 'json' ? [winston.format.json(), jsonLine()] : [winston.format.printf(line)]),
    ),
  });
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- winston's own types disagree on this class
  root.add(transportOf(options.output));
  const sink = (component: string): LogSink => {
    const write =
      (level: string) =>
      (message: string, fields: Record<string, unknown> = {}): void => {
        root.log({ level, message, component, ...fields });
      };
    return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  };
  return {
    logger: sink,
    close: () =>
      new Promise((resolve) => {
        root.once('finish', resolve);
        root.end();
      }),
  };
}

const otherNames: Readonly<Record<string, string>> = { warning: 'warn', err: 'error' };
const levelOf = (severity: string): string => otherNames[severity] ?? severity;

/** Whether a log of that severity has what is said as information. */
export const showsInfo = (severity: string): boolean => ['info', 'debug'].includes(levelOf(severity));

/** The descriptor that `log.output` names, unless it is a file. */
export function standardStreamOf(output: string): 1 | 2 | undefined {
  if (['stderr', 'error', '2'].includes(output)) return 2;
  return ['stdout', 'out', '1'].includes(output) ? 1 : undefined;
}

type Transport = winston.transports.ConsoleTransportInstance | winston.transports.FileTransportInstance;

function transportOf(output: string): Transport {
  const stream = standardStreamOf(output);
  if (stream === 2)
    return new winston.transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] });
  if (stream === 1) return new winston.transports.Console();
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
  return new winston.transports.File({ filename: output, options: { flags: 'a', mode: 0o600 } });
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
  // A name or message from outside must not be able to forge a line of its own, or drive a terminal.
  return printableLine(`${message}${rest}`);
}

const valueText = (value: unknown): string =>
  typeof value === 'bigint' ? value.toString() : JSON.stringify(value);

/** The last step of the JSON form: what JSON leaves as it is (C1, marks of direction) is escaped as JSON does. */
const jsonLine = winston.format((info) => {
  const written: unknown = info[messageSymbol];
  if (typeof written === 'string') info[messageSymbol] = printableLine(written);
  return info;
});
