import { connect } from 'node:net';
import { pipeline } from 'node:stream';
import type { SshChannel } from '../../ssh/channel-types.ts';
import type { CliIo } from '../cli-io.ts';

/** Serves what nodes open to our agent. Undefined, with a warning, when no agent runs here. */
export function forwardAgentChannel(io: CliIo): ((channel: SshChannel) => void) | undefined {
  const path = io.env['SSH_AUTH_SOCK'] ?? '';
  if (path === '') {
    io.stderr.write('WARNING: no agent to forward: SSH_AUTH_SOCK is not set\n');
    return undefined;
  }
  return (channel) => {
    const agent = connect({ path, allowHalfOpen: true });
    const ended = (e: Error | null | undefined): void => {
      if (!e) return;
      agent.destroy();
      channel.destroy();
    };
    pipeline(channel, agent, ended);
    pipeline(agent, channel, ended);
  };
}
