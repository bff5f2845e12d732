import { CodedError } from '../../../base/errors.ts';
import type { Invocation } from '../../args.ts';
import type { CliIo } from '../../cli-io.ts';
import { parseMoment } from '../../duration.ts';

/** `root@web-1`, or `web-1`. A login has no `@`. @throws CodedError `bad_request` */
export function readTarget(text: string): { readonly login?: string; readonly node: string } {
  const at = text.indexOf('@');
  const node = text.slice(at + 1);
  if (node === '' || at === 0)
    throw new CodedError('bad_request', `need [login@]node, not ${JSON.stringify(text)}`);
  return at < 0 ? { node } : { login: text.slice(0, at), node };
}

/** The time in a flag; undefined when it was not given. @throws CodedError `bad_request` */
export function momentOf(invocation: Invocation, io: CliIo, flag: string): string | undefined {
  const text = invocation.text(flag);
  return text === undefined ? undefined : parseMoment(text, io.world.now(), `--${flag}`);
}
