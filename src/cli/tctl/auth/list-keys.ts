import { listAuthorityKeys } from '../../../api/operations/authority-keys.ts';
import type { Run } from '../../program.ts';
import { formatTable } from '../../table.ts';
import { withAuth } from '../connect.ts';

/** `tctl auth ls` */
export const listKeys: Run = async (invocation, io) => {
  const { keys } = await withAuth(invocation, io, (auth) => auth.call(listAuthorityKeys, {}));
  if (invocation.text('format') === 'json') {
    io.stdout.write(`${JSON.stringify(keys, undefined, 4)}\n`);
    return 0;
  }
  io.stdout.write(
    formatTable(
      ['Authority', 'Fingerprint', 'Status', 'Since', 'Certificate until', 'Trusted until', 'Pin'],
      keys.map(({ authority, fingerprint, status, since, until, pin, leaving }) => [
        authority,
        fingerprint,
        status === 'signs' ? 'signs' : 'trusted only',
        since,
        until,
        leaving === undefined ? '-' : `${leaving.expectedAt} (rotation: ${leaving.phase})`,
        authority === 'host' ? pin : '-',
      ]),
    ),
  );
  return 0;
};
