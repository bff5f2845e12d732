import { CodedError } from '../base/errors.ts';
import type { HostInfo } from './host-info.ts';

/**
 * Limits in bytes of UTF-8: what a host announces is stored at each change, for ever, and held in memory by
 * every proxy.
 */
export const labelLimits = { labels: 64, name: 128, value: 1024, all: 16 * 1024 } as const;
/** For everything that a host announces, as JSON. */
const wholeBytes = 24 * 1024;
/** Every label whose value is printed by a program has at least this much room for it. */
const leastCommandValue = 64;

export interface LabelFault {
  /** The label at fault; undefined where there are too many, or all together are too large. */
  readonly name: string | undefined;
  readonly why: string;
}

type Labels = Readonly<Record<string, string>>;

const encoder = new TextEncoder();
export const utf8Bytes = (text: string): number => encoder.encode(text).length;

/**
 * The first fault in fixed labels and in those whose values come from programs; undefined when they are
 * within the limits.
 */
export function labelFault(labels: Labels, commands: readonly string[] = []): LabelFault | undefined {
  const names = [...Object.keys(labels), ...commands];
  if (names.length > labelLimits.labels)
    return { name: undefined, why: `${names.length} labels: a host may have ${labelLimits.labels}` };
  for (const name of names) {
    const bytes = utf8Bytes(name);
    if (bytes > labelLimits.name)
      return { name, why: `the name of the label has ${bytes} bytes: it may have ${labelLimits.name}` };
  }
  for (const [name, value] of Object.entries(labels)) {
    const bytes = utf8Bytes(value);
    if (bytes > labelLimits.value)
      return { name, why: `the value of the label has ${bytes} bytes: it may have ${labelLimits.value}` };
  }
  const left = roomForCommands(labels, commands);
  if (left < commands.length * leastCommandValue)
    return {
      name: undefined,
      why:
        `the labels have ${labelLimits.all - left} bytes together: they may have ${labelLimits.all}` +
        (commands.length === 0 ? '' : `, with ${leastCommandValue} for each value that a command prints`),
    };
  return undefined;
}

/** How long a value printed by a program may be, so that all labels stay within the limits. */
export const commandValueBytes = (labels: Labels, commands: readonly string[]): number =>
  Math.min(
    labelLimits.value,
    Math.max(0, Math.floor(roomForCommands(labels, commands) / Math.max(1, commands.length))),
  );

const roomForCommands = (labels: Labels, commands: readonly string[]): number =>
  labelLimits.all -
  commands.reduce((sum, name) => sum + utf8Bytes(name), 0) -
  Object.entries(labels).reduce((sum, [name, value]) => sum + utf8Bytes(name) + utf8Bytes(value), 0);

/** @throws CodedError `too_large` for a host that announces more than is kept. */
export function checkSize(host: HostInfo): void {
  const fault = labelFault(host.labels);
  if (fault !== undefined) {
    const which = fault.name === undefined ? '' : ` ${JSON.stringify(fault.name.slice(0, labelLimits.name))}`;
    throw new CodedError('too_large', `labels${which}: ${fault.why}`);
  }
  const bytes = utf8Bytes(JSON.stringify(host));
  if (bytes > wholeBytes)
    throw new CodedError(
      'too_large',
      `the host announces ${bytes} bytes about itself: at most ${wholeBytes} are allowed`,
    );
}
