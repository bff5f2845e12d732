import { CodedError } from '../base/errors.ts';
import type { HostInfo } from './host-info.ts';

/**
 * What a host says of itself is stored at each change, for ever, and held by every proxy. In bytes of UTF-8.
 */
export const labelLimits = { labels: 64, name: 128, value: 1024, all: 16 * 1024 } as const;
/** Of all that a host says of itself, as JSON. */
const wholeBytes = 24 * 1024;
/** Each label whose value a program prints has at least so much room for it. */
const leastCommandValue = 64;

export interface LabelFault {
  /** The label that is at fault; undefined where they are too many or too large together. */
  readonly name: string | undefined;
  readonly why: string;
}

type Labels = Readonly<Record<string, string>>;

const encoder = new TextEncoder();
export const utf8Bytes = (text: string): number => encoder.encode(text).length;

/**
 * The first fault of fixed labels and of those that are to come from programs; undefined when they are within
 * the limits.
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

/** How long a value may be that a program prints, so that all labels stay within the limits. */
export const commandValueBytes = (labels: Labels, commands: readonly string[]): number =>
  Math.min(
    labelLimits.value,
    Math.max(0, Math.floor(roomForCommands(labels, commands) / Math.max(1, commands.length))),
  );

const roomForCommands = (labels: Labels, commands: readonly string[]): number =>
  labelLimits.all -
  commands.reduce((sum, name) => sum + utf8Bytes(name), 0) -
  Object.entries(labels).reduce((sum, [name, value]) => sum + utf8Bytes(name) + utf8Bytes(value), 0);

/** @throws CodedError `too_large` for a host that says more of itself than is kept. */
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
