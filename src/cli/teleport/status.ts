import type { Invocation } from '../args.ts';
import type { CliIo } from '../cli-io.ts';
import { formatPairs } from '../table.ts';

/** `teleport status`: what session this shell runs in, from the environment the node gave it. */
export function status(_invocation: Invocation, io: CliIo): Promise<number> {
  const { env } = io;
  const sid = env['SSH_SESSION_ID'];
  const webProxy = env['SSH_SESSION_WEBPROXY_ADDR'];
  if (sid === undefined || webProxy === undefined) {
    io.stdout.write('You are not inside of a Teleport SSH session\n');
    return Promise.resolve(0);
  }
  const [user, login, cluster, host] = [
    env['SSH_TELEPORT_USER'] ?? '',
    env['USER'] ?? '',
    env['SSH_TELEPORT_CLUSTER_NAME'] ?? '',
    env['SSH_TELEPORT_HOST_UUID'] ?? '',
  ];
  const trouble = env['SSH_TELEPORT_TROUBLE'];
  io.stdout.write(
    formatPairs([
      ['User ID     :', `${user}, logged in as ${login} from ${env['SSH_CLIENT'] ?? ''}`],
      ['Cluster Name:', cluster],
      ['Host UUID   :', host],
      ['Session ID  :', sid],
      ['Session URL :', `https://${webProxy}/web/cluster/${cluster}/node/${host}/${login}/${sid}`],
      ...(trouble === undefined ? [] : [['Trouble     :', trouble] as const]),
    ]),
  );
  return Promise.resolve(0);
}
