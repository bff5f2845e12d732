import { CodedError } from '../../base/errors.ts';
import { formatHostPort } from '../../base/service.ts';
import type { Run } from '../program.ts';
import { shellQuote } from '../../base/shell-quote.ts';
import { readSettings } from './settings.ts';

/** `tsh env`: lines for `eval`. */
export const envCommand: Run = async (invocation, io) => {
  if (invocation.on('unset')) {
    io.stdout.write('unset TELEPORT_PROXY\nunset TELEPORT_CLUSTER\n');
    return 0;
  }
  const { profile } = await readSettings(invocation, io);
  if (profile === undefined)
    throw new CodedError('not_found', "not logged in: run 'tsh login --proxy=<host>' first");
  io.stdout.write(
    `export TELEPORT_PROXY=${shellQuote(formatHostPort(profile.web))}\n` +
      `export TELEPORT_CLUSTER=${shellQuote(profile.cluster)}\n`,
  );
  return 0;
};
