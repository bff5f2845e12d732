import { chromium, type Browser, type Page } from 'playwright-core';
import { readQrCode } from '../harness/qr.ts';

/** A real Chromium, headless. Trusts any certificate: the proxies of the tests sign their own. */
export const openBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });

/** Reads the QR code on the page from its pixels. */
export const scanQrCode = async (page: Page): Promise<string> =>
  readQrCode(await page.screenshot({ fullPage: true }));
