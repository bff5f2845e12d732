import type { AuthClient } from '../../api/client.ts';
import { everyHost } from '../../api/listed-hosts.ts';
import type { Configuration } from '../../process/configuration/configuration.ts';
import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { type LinkAddress, linkAddressOf, noteOn, unknownProxy } from './link-address.ts';

/** Where the link leads; from the file of this machine, where it names an address. */
export async function linkAddress(
  auth: AuthClient,
  configuration: Configuration | undefined,
): Promise<LinkAddress> {
  const hosts = await everyHost(auth, { role: 'Proxy' });
  if (configuration === undefined) return linkAddressOf({ publicAddresses: [], local: undefined }, hosts);
  const { file, roles, nodename, listen } = configuration;
  const local = roles.has('proxy') ? { host: nodename, port: listen.web.port } : undefined;
  return linkAddressOf({ publicAddresses: file.proxy_service.public_addr, local }, hosts);
}

interface Made {
  readonly username: string;
  /** From `/web` on. */
  readonly path: string;
  readonly link: LinkAddress;
  readonly expiresAt: string;
}

/** The link for a person, below `head`; or all of it as JSON. */
export function printLink(invocation: Invocation, io: CliIo, made: Made, head: string): void {
  const { username, path, link, expiresAt } = made;
  const url = `https://${link.status === 'undecided' ? unknownProxy : link.address}${path}`;
  if (invocation.text('format') === 'json') {
    const proxies = link.status === 'undecided' ? { proxies: link.told } : {};
    io.stdout.write(
      `${JSON.stringify({ user: username, url, expires: expiresAt, ...proxies }, undefined, 4)}\n`,
    );
    return;
  }
  io.stdout.write([head, url, '', ...noteOn(link), ''].join('\n'));
}
