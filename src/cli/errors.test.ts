import { describe, expect, it } from 'vitest';
import { CodedError } from '../base/errors.ts';
import { ExitStatus, errorLines, exitStatusOf } from './errors.ts';

const withCode = (code: string, message: string): Error => Object.assign(new Error(message), { code });

describe('printing a failure', () => {
  it('is one line with the message, and no stack', () => {
    expect(errorLines(new CodedError('not_found', 'no such node'))).toBe('error: no such node\n');
    expect(errorLines(new TypeError('x is not a function'))).toBe('error: x is not a function\n');
    expect(errorLines('text')).toBe('error: text\n');
  });
  it('adds the stack only for debugging', () => {
    expect(errorLines(new Error('boom'), true)).toMatch(/^error: boom\nError: boom\n\s+at /);
  });
  it('quotes a message that holds controls', () => {
    expect(errorLines(new Error('a\u001b]0;"x"\u0007'))).toBe('error: "a\\x1b]0;\\"x\\"\\x07"\n');
  });
  it('prints nothing for an exit status without a message', () => {
    expect(errorLines(new ExitStatus(7))).toBe('');
    expect(errorLines(new ExitStatus(7, 'Process exited with status 7'))).toBe(
      'error: Process exited with status 7\n',
    );
    expect([exitStatusOf(new ExitStatus(7)), exitStatusOf(new Error('x'))]).toEqual([7, 1]);
  });
  it('hints at --insecure and SSL_CERT_FILE for an unknown authority, also when it is a cause', () => {
    const e = new Error('fetch failed', { cause: withCode('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed') });
    expect(errorLines(e)).toMatch(/--insecure flag[\s\S]*SSL_CERT_FILE and SSL_CERT_DIR/);
  });
  it('hints at another hostname when the name does not match', () => {
    expect(errorLines(withCode('ERR_TLS_CERT_ALTNAME_INVALID', 'Host: x. is not in alt names'))).toContain(
      'try a different hostname for --proxy',
    );
  });
  it('says why a certificate is invalid', () => {
    expect(errorLines(withCode('CERT_HAS_EXPIRED', 'certificate has expired'))).toContain(
      'The certificate presented by the proxy is invalid: certificate has expired.',
    );
  });
  it('joins the reasons of all attempts', () => {
    const e = new AggregateError([
      new Error('connect ECONNREFUSED ::1:1'),
      new Error('connect ECONNREFUSED 127.0.0.1:1'),
    ]);
    expect(errorLines(e)).toBe('error: connect ECONNREFUSED ::1:1; connect ECONNREFUSED 127.0.0.1:1\n');
  });
});
