import { isAbsolute, normalize } from 'node:path';
import { CodedError } from '../../base/errors.ts';
import { isObjectName } from '../../base/object-store.ts';

/** Where objects are, as a URI names it. */
export type ObjectLocation =
  | { readonly type: 'dir'; readonly path: string }
  | {
      readonly type: 's3';
      readonly bucket: string;
      /** Without slashes at its ends; empty: the whole bucket. */
      readonly prefix: string;
      /** Default: from the SDK's chain, as credentials are. */
      readonly region: string | undefined;
      /** Of another service than that of AWS. */
      readonly endpoint: string | undefined;
      /** Whether the service is asked to encrypt what it stores by a key of its key service. */
      readonly encrypted: boolean;
    };

const bad = (text: string, why: string): CodedError =>
  new CodedError('misconfigured', `${JSON.stringify(text)}: ${why}`);

const forms = 'use file:///path or s3://bucket/prefix?region=…';
const parameters = ['region', 'endpoint', 'insecure', 'disablesse'];

/**
 * `file:///path`, or `s3://bucket/prefix?region=&endpoint=&insecure=&disablesse=` as in Teleport 4.4: an
 * `endpoint` without a scheme is `https://`, with `insecure=true` `http://`.
 * @throws CodedError `misconfigured` for any other text.
 */
export function objectLocationOf(text: string): ObjectLocation {
  let url: URL;
  try {
    url = new URL(text);
  } catch (cause) {
    throw new CodedError('misconfigured', `${JSON.stringify(text)} is not a URI: ${forms}`, { cause });
  }
  if (url.username !== '' || url.password !== '')
    throw bad(text.replace(/\/\/[^/]*@/, '//…@'), 'credentials do not belong here: the environment has them');
  switch (url.protocol) {
    case 'file:':
      return directoryOf(text, url);
    case 's3:':
      return bucketOf(text, url);
    default:
      throw bad(text, `${url.protocol}// is not in this release: ${forms}`);
  }
}

function directoryOf(text: string, url: URL): ObjectLocation {
  if (!['', 'localhost'].includes(url.hostname)) throw bad(text, 'a file:// URI names no host: file:///path');
  if (url.search !== '' || url.hash !== '') throw bad(text, 'a file:// URI has no parameters');
  let path: string;
  try {
    path = normalize(decodeURIComponent(url.pathname));
  } catch {
    throw bad(text, 'its path is not well formed');
  }
  if (!isAbsolute(path) || path === '/') throw bad(text, 'it names no directory: file:///path');
  return { type: 'dir', path: path.replace(/\/$/, '') };
}

function bucketOf(text: string, url: URL): ObjectLocation {
  const bucket = url.hostname;
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) throw bad(text, 'it names no bucket');
  const prefix = url.pathname.replace(/^\/+|\/+$/g, '');
  if (prefix !== '' && !isObjectName(prefix))
    throw bad(text, 'a prefix has letters, digits, ".", "_", "-" and "/"');
  const unknown = [...url.searchParams.keys()].find((name) => !parameters.includes(name));
  if (unknown !== undefined) throw bad(text, `unknown parameter ${JSON.stringify(unknown)}`);
  const given = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  const flag = (name: string): boolean => {
    const value = given(name) ?? 'false';
    if (value !== 'true' && value !== 'false') throw bad(text, `${name} is true or false`);
    return value === 'true';
  };
  const insecure = flag('insecure');
  const endpoint = given('endpoint');
  if (insecure && endpoint === undefined) throw bad(text, 'insecure needs an endpoint');
  return {
    ...{ type: 's3', bucket, prefix, region: given('region') },
    endpoint: endpoint === undefined ? undefined : endpointOf(text, endpoint, insecure),
    encrypted: !flag('disablesse'),
  };
}

function endpointOf(text: string, given: string, insecure: boolean): string {
  const withScheme = /^https?:\/\//.test(given) ? given : `http${insecure ? '' : 's'}://${given}`;
  if (!URL.canParse(withScheme)) throw bad(text, 'its endpoint is not an address');
  const { protocol, origin, pathname } = new URL(withScheme);
  if (protocol === 'http:' && !insecure)
    throw bad(text, 'what goes to an http:// endpoint can be read on the way: insecure=true allows it');
  if (pathname !== '/') throw bad(text, 'an endpoint has no path');
  return origin;
}
