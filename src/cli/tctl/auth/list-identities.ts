import { listIdentities } from '../../../api/operations/identity.ts';
import type { OutputOf } from '../../../api/operation.ts';
import type { Run } from '../../program.ts';
import { formatTable } from '../../table.ts';
import { withAuth } from '../connect.ts';

type Identity = OutputOf<typeof listIdentities>['identities'][number];

/** `tctl auth identities ls` */
export const listSignedIdentities: Run = async (invocation, io) => {
  const all = invocation.on('all');
  const { identities } = await withAuth(invocation, io, (auth) => auth.call(listIdentities, { all }));
  if (invocation.text('format') === 'json') {
    io.stdout.write(`${JSON.stringify(identities, undefined, 4)}\n`);
    return 0;
  }
  if (identities.length === 0) {
    io.stdout.write('No identities found.\n');
    return 0;
  }
  const titles = ['Serial', 'For', 'Format', 'May', 'Signed at', 'Signed by', 'Expires'];
  io.stdout.write(formatTable(titles, identities.map(rowOf)));
  return 0;
};

const rowOf = ({ serial, holder, format, signedAt, signedBy, expiresAt, forced }: Identity): string[] => [
  serial,
  holder.kind === 'user' ? `user ${holder.username}` : `host ${holder.names.join(',')}`,
  format,
  mayOf(holder),
  signedAt,
  signedBy,
  `${expiresAt}${forced ? ' (forced)' : ''}`,
];

const mayOf = (holder: Identity['holder']): string =>
  holder.kind === 'host' ? 'be that server' : holder.administers ? 'log in, administer' : 'log in';
