import { connect } from 'node:net';
import { joinStreams } from '../../../base/join-streams.ts';
import type { SshChannel } from '../../../ssh/channel-types.ts';
import type { CliIo } from '../../cli-io.ts';

/** Serves the channels that nodes open to our agent. Undefined, with a warning, when no agent runs here. */
export function forwardAgentChannel(io: CliIo): ((channel: SshChannel) => void) | undefined {
  const path = io.env['SSH_AUTH_SOCK'] ?? '';
  if (path === '') {
    io.stderr.write('WARNING: no agent to forward: SSH_AUTH_SOCK is not set\n');
    return undefined;
  }
  return (channel) => {
    void joinStreams(connect({ path, allowHalfOpen: true }), channel);
  };
}
