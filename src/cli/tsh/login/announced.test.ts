import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { publicKeyOf, toAuthorizedKeyLine } from '../../../pki/ssh-key.ts';
import { acceptChanges, changedClusters, changedHosts } from './announced.ts';

const at = (host: string, port = 3080): { host: string; port: number } => ({ host, port });
const blob = (): Buffer => publicKeyOf(generateKeyPairSync('ed25519').privateKey).blob;

describe('where a proxy says it is found', () => {
  const typed = ['proxy.example.com'];
  it.each([
    ['what was typed', 'proxy.example.com', typed],
    ['another spelling of it', 'Proxy.Example.COM', typed],
    ['another name of this machine', 'localhost', ['127.0.0.1']],
    ['what was accepted before', 'pub', ['proxy.example.com', 'pub']],
  ])('is no change when it is %s', (_, host, known) => {
    expect(changedHosts({ web: at(host, 443), ssh: at(host, 22) }, known)).toEqual([]);
  });
  it('is a change when it is elsewhere, for logins and for SSH', () => {
    expect(changedHosts({ web: at('evil.example', 443), ssh: at('github.com', 22) }, typed)).toEqual([
      'logins, with password and code, go to another host from now on: evil.example:443',
      'its SSH is at another host, which ssh will believe its authority for: github.com:22',
    ]);
    expect(changedHosts({ web: at('localhost'), ssh: at(typed[0] ?? '') }, typed)).toHaveLength(1);
  });
});

describe('the cluster that a proxy claims', () => {
  const [mine, theirs] = [blob(), blob()];
  const claim = (clusterName: string, key = mine): Parameters<typeof changedClusters>[0] => [
    { clusterName, checkingKeys: [toAuthorizedKeyLine(key)] },
  ];
  const known = (
    clusterName: string,
    proxyHost: string,
    key = mine,
  ): Parameters<typeof changedClusters>[2] => [{ clusterName, proxyHost, blob: key }];
  it('may be any at the first login, and the same ever after', () => {
    expect(changedClusters(claim('example'), 'proxy', [])).toEqual([]);
    expect(changedClusters(claim('example'), 'proxy', known('example', 'proxy'))).toEqual([]);
    expect(changedClusters(claim('bank'), 'proxy', known('example', 'proxy'))).toEqual([
      "it leads to cluster 'bank', and led to 'example' before",
    ]);
  });
  it('keeps one of its authorities, or is another', () => {
    const before = [...known('example', 'proxy'), ...known('example', 'proxy', theirs)];
    expect(changedClusters(claim('example', theirs), 'proxy', before)).toEqual([]);
    expect(changedClusters(claim('example', theirs), 'proxy', known('example', 'proxy'))).toEqual([
      "cluster 'example' has none of the host authorities that it had (was it set up from scratch?)",
    ]);
  });
  it('may not be one that another proxy brought, unless it has its authority', () => {
    expect(changedClusters(claim('bank'), 'second', known('bank', 'first'))).toEqual([]);
    expect(changedClusters(claim('bank'), 'evil', known('bank', 'proxy.bank', theirs))).toEqual([
      "cluster 'bank' is known from the proxy proxy.bank, with other authorities",
    ]);
  });
});

describe('a change', () => {
  const asked = (answer: string, interactive = true) => {
    const questions: string[] = [];
    const line = (label: string): Promise<string> => {
      questions.push(label);
      return Promise.resolve(answer);
    };
    return { questions, prompter: { interactive, line } };
  };
  it('is accepted by a person', async () => {
    const { questions, prompter } = asked('y');
    await acceptChanges(['one', 'two'], 'https://p:1', { accepted: false, prompter });
    expect(questions.join()).toContain('one; two');
  });
  it.each(['n', '', 'yet'])('is refused by the answer %j', async (answer) => {
    const { prompter } = asked(answer);
    await expect(acceptChanges(['one'], 'https://p:1', { accepted: false, prompter })).rejects.toMatchObject({
      code: 'access_denied',
    });
  });
  it('is refused where nobody can be asked, with the flag that accepts it', async () => {
    const { questions, prompter } = asked('y', false);
    await expect(acceptChanges(['one'], 'https://p:1', { accepted: false, prompter })).rejects.toThrow(
      /^the proxy at https:\/\/p:1 announces what was neither typed nor known: one\. Nothing was stored\..*--accept-announced/,
    );
    expect(questions).toEqual([]);
    await acceptChanges(['one'], 'https://p:1', { accepted: true, prompter });
  });
});
