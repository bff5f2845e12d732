import { z } from 'zod';
import { parseHostPort } from '../../base/addresses.ts';
import { messageOf } from '../../base/errors.ts';
import { type Bounds, longestWaitMs, readDuration } from '../../base/quantities.ts';
import { formatHostPort, type HostPort } from '../../base/service.ts';
import { hostAddress, isUnspecified } from '../../domain/host-text.ts';
import { balancersOf } from '../../proxy/client-address.ts';

const truths = ['yes', 'yeah', 'y', 'true', '1', 'on'];
const falsehoods = ['no', 'nope', 'n', 'false', '0', 'off'];

/**
 * yes, yeah, y, true, 1, on / no, nope, n, false, 0, off. Anything else is refused (4.4 took it for `no`).
 */
export const flag = z.union([z.boolean(), z.string(), z.number()]).transform((value, context) => {
  const text = String(value).toLowerCase();
  if (truths.includes(text)) return true;
  if (falsehoods.includes(text)) return false;
  context.addIssue({ code: 'custom', message: `expected yes or no, got '${text}'` });
  return z.NEVER;
});

/** `0s`, which users of the previous release may have in their file. */
const nothing = /^(0+(\.0+)?(ms|s|m|h))+$/;

/** Milliseconds in bounds; 0 for `never`, `no`, `0`, `0s`, whatever the bounds. */
const durationIn = (bounds: Bounds) =>
  z.union([z.string(), z.number(), z.boolean()]).transform((value, context) => {
    const text = String(value);
    if (['never', 'no', '0', 'false'].includes(text) || nothing.test(text)) return 0;
    const read = readDuration(text, bounds);
    if (typeof read === 'number') return read;
    context.addIssue({ code: 'custom', message: read.fault });
    return z.NEVER;
  });

/** A time to wait or an interval: at most a year. */
export const duration = durationIn({ min: 1, max: longestWaitMs });
/** The same where a longer time makes no sense. */
export const durationUpTo = (max: number): typeof duration => durationIn({ min: 1, max });

/** The same where days are usual: also `90d`. */
export const daysUpTo = (max: number): z.ZodType<number> =>
  z.preprocess(
    (value) =>
      typeof value === 'string' ? value.replace(/^(\d{1,6})d$/, (_, days) => `${Number(days) * 24}h`) : value,
    durationUpTo(max),
  );

/** A number without quotes is accepted here, so that the error can explain what is wrong with it. */
const addressText = z.union([z.string(), z.int()]);

export const address = (defaultPort: number): z.ZodType<HostPort> =>
  addressText.transform((text, context) => {
    try {
      return parseHostPort(String(text), defaultPort);
    } catch (e) {
      context.addIssue({ code: 'custom', message: messageOf(e) });
      return z.NEVER;
    }
  });

/** One address or a list. */
export const addresses = (defaultPort: number): z.ZodType<HostPort[]> =>
  z.union([z.array(addressText), addressText]).transform((value, context) => {
    const parsed = [value].flat().map((text) => address(defaultPort).safeParse(text));
    const bad = parsed.find((p) => !p.success);
    if (bad?.error) {
      context.addIssue({ code: 'custom', message: bad.error.issues[0]?.message ?? 'bad address' });
      return z.NEVER;
    }
    return parsed.flatMap((p) => (p.success ? [p.data] : []));
  });

/**
 * The same for addresses that are announced to others: they end up in certificates, and in lines of files and
 * shells elsewhere. No wildcard, no address that is only valid to listen on, and a port that can be dialled.
 */
export const publicAddresses = (defaultPort: number): z.ZodType<HostPort[]> =>
  addresses(defaultPort).superRefine((list, context) => {
    for (const { host, port } of list) {
      const text = formatHostPort({ host, port });
      const why = isUnspecified(host)
        ? 'that is an address to listen on, others cannot call it'
        : whyNoAddress(text);
      if (why !== undefined)
        context.addIssue({ code: 'custom', message: `${JSON.stringify(text.slice(0, 300))}: ${why}` });
    }
  });

const whyNoAddress = (text: string): string | undefined =>
  hostAddress.safeParse(text).error?.issues[0]?.message;

/** Addresses or networks like `10.0.0.0/8`. */
export const networks = z.array(z.string()).superRefine((entries, context) => {
  for (const [i, entry] of entries.entries())
    try {
      balancersOf([entry]);
    } catch (e) {
      context.addIssue({ code: 'custom', path: [i], message: messageOf(e) });
    }
});

/** The values of 4.4 in its words, and what is added. */
export const proxyProtocol = <const Value extends string>(values: readonly Value[]): z.ZodType<Value> =>
  z.unknown().transform((value, context) => {
    const known = values.find((one) => one === value);
    if (known !== undefined) return known;
    context.addIssue({
      code: 'custom',
      message: `bad "proxy_protocol" parameter value: ${JSON.stringify(value)}: use ${values.join(', ')}`,
    });
    return z.NEVER;
  });

/** One pin, a comma separated text, or a list. Only the form is checked. */
export const pins = z.union([z.array(z.string()), z.string()]).transform((value, context) => {
  const all = [value].flat().flatMap((text) => text.split(',').map((pin) => pin.trim().toLowerCase()));
  const bad = all.find((pin) => !/^sha256:[0-9a-f]{64}$/.test(pin));
  if (bad === undefined) return [...new Set(all)];
  context.addIssue({
    code: 'custom',
    message: `'${bad}' is not a CA pin: expected sha256: and 64 hexadecimal digits, as \`tctl status\` prints it`,
  });
  return z.NEVER;
});

/** Names that `choose` accepts; an error that it throws becomes the issue. An empty list counts as absent. */
export const algorithms = (
  choose: (names: readonly string[]) => unknown,
): z.ZodOptional<z.ZodArray<z.ZodString>> =>
  z
    .array(z.string())
    .superRefine((names, context) => {
      try {
        choose(names);
      } catch (e) {
        context.addIssue({ code: 'custom', message: messageOf(e) });
      }
    })
    .optional();

/**
 * A key that users of 4.4 know and this release does not support: refused when present, so that nobody relies
 * on it.
 */
export const notYet = (what: string): z.ZodOptional =>
  z
    .unknown()
    .superRefine((value, context) => {
      if (value !== undefined)
        context.addIssue({ code: 'custom', message: `${what} is not in this release; remove the key` });
    })
    .optional();
