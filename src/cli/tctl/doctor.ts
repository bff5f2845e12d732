import { parseHostPort } from '../../base/addresses.ts';
import { messageOf } from '../../base/errors.ts';
import { printable } from '../../base/printable.ts';
import { formatHostPort } from '../../base/service.ts';
import { examineProxy, type Finding, reach } from '../../process/entry/examine-proxy.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';

/**
 * `tctl doctor <address>`: what a browser, tsh and a node would find at a proxy or at the balancer before
 * it, from this machine. The exit status is 1 where one of them finds no way.
 */
export async function examine(invocation: Invocation, io: CliIo): Promise<number> {
  const address = parseHostPort(invocation.arg('address') ?? '', 3080);
  const at = await reach(address).catch((e: unknown) => e);
  if (at instanceof Error) {
    io.stdout.write(`${formatHostPort(address)} is not reached from here: ${printable(messageOf(at))}\n`);
    return 1;
  }
  const findings = await examineProxy(address, io.env);
  if (invocation.text('format') === 'json')
    io.stdout.write(`${JSON.stringify({ address: formatHostPort(address), at, findings }, null, 2)}\n`);
  else io.stdout.write(textOf(`${formatHostPort(address)} (${String(at)})`, findings));
  return hasNoWay(findings) ? 1 : 0;
}

/** Whether somebody finds no way at all. */
const hasNoWay = (findings: readonly Finding[]): boolean =>
  [...Map.groupBy(findings, ({ visitor }) => visitor).values()].some((ways) =>
    ways.every(({ result }) => result.status === 'fails'),
  );

/** One line for each way, and once below them what to change. */
export function textOf(title: string, findings: readonly Finding[]): string {
  const lines = [title];
  for (const [visitor, ways] of Map.groupBy(findings, (one) => one.visitor)) {
    lines.push('', visitor);
    for (const { way, result } of ways)
      lines.push(
        result.status === 'works'
          ? `  works  ${printable(way)}: ${printable(result.note)}`
          : `  fails  ${printable(way)}: ${printable(result.why)}`,
      );
    for (const advice of new Set(ways.map((one) => one.advice).filter((text) => text !== '')))
      lines.push(`  => ${advice}`);
  }
  return `${lines.join('\n')}\n`;
}
