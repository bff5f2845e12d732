import { CodedError, isCoded } from '../../../base/errors.ts';
import { printable } from '../../../base/printable.ts';
import { joinLogin, readJoinMode } from '../../../domain/join-session.ts';
import { isSessionId } from '../../../recording/chunk.ts';
import type { Run } from '../../program.ts';
import { findRunningSession } from '../cluster/cluster-auth.ts';
import { openCluster } from '../cluster/open-cluster.ts';
import { readSettings } from '../settings.ts';
import { runSession } from '../ssh/remote-session.ts';

const leaving = {
  observer: 'Ctrl-C leaves',
  peer: '~. leaves',
  moderator: 'Ctrl-C leaves, t ends the session',
} as const;

/** `tsh join <session-id>`: takes part in a session that runs. */
export const joinCommand: Run = async (invocation, io) => {
  const sid = (invocation.arg('session-id') ?? '').toLowerCase();
  if (!isSessionId(sid))
    throw new CodedError('bad_request', `'${printable(sid)}' is not a valid session ID (must be GUID)`);
  const mode = readJoinMode(invocation.text('mode'));
  if (mode === undefined) throw new Error('the command line allows no other mode');
  if (io.stdin.isTTY !== true)
    throw new CodedError('bad_request', 'a session is joined in a terminal, and standard input is none');
  const settings = await readSettings(invocation, io);
  const cluster = await openCluster(settings, io, { cluster: invocation.text('cluster') });
  try {
    const { hostId, nodename } = await findRunningSession(cluster, io, sid).catch((e: unknown) => {
      throw isCoded(e, 'not_found')
        ? new CodedError('not_found', `session '${sid}' not found or it has ended`, { cause: e })
        : e;
    });
    const address = { host: hostId, port: undefined, login: joinLogin };
    const node = await cluster.dialNode(address, undefined, nodename);
    try {
      io.stderr.write(`Joining session ${sid} on ${printable(nodename)} as ${mode}: ${leaving[mode]}.\n`);
      await runSession(
        node,
        {
          ...{ command: undefined, pty: true, agentForwarding: false, takesInput: true },
          escapeSequences: mode === 'peer' && settings.escapeSequences,
          variables: { TELEPORT_SESSION: sid, TELEPORT_JOIN_MODE: mode },
        },
        io,
      );
    } finally {
      node.close();
    }
    return 0;
  } finally {
    cluster.close();
  }
};
