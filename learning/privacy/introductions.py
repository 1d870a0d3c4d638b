"""The words before and behind a name by which it is told from other words."""

from __future__ import annotations

import re

# What follows is a name, unless it is a word.
STRONG = re.compile(
    r"\b(?:(?<!product )(?<!brand )(?<!file )(?<!item )(?<!model )(?<!shop )(?<!store )(?<!company )"
    r"(?<!domain )(?<!user )(?<!the )(?<!street )"
    r"(?:sur|first |last |full |middle |maiden |birth |legal |real |holder )?names?(?:['’]?s\b"
    r"|\s(?:is|was|are|should be|reads?|says?|to)\b|\s?[:=]|\s(?=on the\b)|\sshould\ssay\b)"
    r"(?:\s?[:\"“'‘])?(?:\son\s(?:the|my)\s\w{3,12}\s(?:is|was|:))?"
    r"|name\son\s(?:the|my|that)\s\w{3,12}(?:\s\w{3,12})?\s?(?:is|was|:|says)|the\sname\s(?:is"
    r"|was)|(?:under|in|on|to|by|for|with)\s(?:the|my)\sname(?:\sof)?|in\sname\sof"
    r"|i\sam\scalled|i['’]?m\scalled|(?:just\s)?call\sme|they\scall\sme|(?:account"
    r"|card)\s?holder(?:\sis|\sname|:)?|(?:addressed|registered|belongs|made\sout)\sto"
    r"|addressee:?|(?:recipient|sender|receiver|buyer|owner|payee|cardholder)(?:\s(?:is|was)"
    r"|\s?:)|attn\.?:?|attention:|c/o|signed(?:\s(?:for\s)?by)?:?|yours\s(?:sincerely|truly"
    r"|faithfully),?|mr\.?|mrs\.?|mister|monsieur|madame|herr|frau|señora?"
    r"|(?:kind|best|warm|many)\s(?:regards|wishes),?|regards,?|sincerely,?)(?!\w)\s*",
    re.IGNORECASE,
)
# What follows is a name if it looks like one.
WEAK = re.compile(
    r"(?:\b(?:i\sam|i['’]?m|am|this\sis|it\sis|it['’]?s|its|here\sis|here['’]s|hi|hello|hey"
    r"|hiya|dear|good\s(?:morning|afternoon|evening)|thanks|thank\syou|cheers|thx|love|best"
    r"|ms\.?|miss|dr\.?|prof\.?|sir|doctor|professor|(?:spoke|spoken|speaking|speak|talked"
    r"|talking|talk|chatted|chatting|chat|dealt)\s(?:to|with)|colleagues?|agents?"
    r"|rep(?:resentative)?|assistant|advisor|adviser|driver|courier|called|named"
    r"|(?:guy|man|woman|lady|girl|boy|person|someone|somebody|driver|courier|agent|employee)\s(?:called|named)"
    r"|(?:my|our|his|her|the|your)\s(?:husband|wife|son|daughter|mother|father|mom|mum|dad"
    r"|brother|sister|partner|boyfriend|girlfriend|fiancée?|friend|neighbou?r|boss|assistant"
    r"|manager|flatmate|roommate|roomie|aunt|uncle|cousin|niece|nephew|grandma|grandson"
    r"|granddaughter|colleague)"
    r"|for|from|to|by|with|and|ask|asked|tell|told|contact|ordered\sby|delivered\sto|sent\sto|deliver\sto),?\s+)",
    re.IGNORECASE,
)
ADDRESSED = re.compile(
    r"\b(?:i\sam|i['’]?m|this\sis|it['’]s|it\sis|hi|hello|hey|dear|thanks|thank\syou|cheers"
    r"|regards|ms\.?|miss|dr\.?)\W{0,3}$",
    re.IGNORECASE,
)
SIGNED = re.compile(
    r"(?:\n|\b(?:thanks|thank\syou|thx|cheers|regards|best|love|wishes)[,.!]?\s)\s*[-–~]?\s*$", re.IGNORECASE
)


NAMED = re.compile(
    r"\b[^\W\d_]\.\s?[^\W\d_]|said|told|promis|assured|hung\sup|family"
    r"|-[a-z]-|here\b|speaking|name|called|call me|holder|recipient|sender|receiver|buyer|owner"
    r"|payee|attn|attention|c/o|sign|m(?:r|rs|s|iss|ister)\b|dr\b|prof|doctor|regards"
    r"|sincerely|addressed|belong|register|herr|frau|madam|monsieur|señor",
    re.IGNORECASE,
)
CLAUSE_END = re.compile(
    r"\s*(?:$|[.,!?;:)\n/&]|and\b|from\b|here\b|speaking\b|again\b|but\b|writing\b|calling\b|who\b)", re.IGNORECASE
)
SENTENCE = re.compile(r"(?:^|[.!?:;\n\"“(>*•–-])\s*$")
WHERE = re.compile(
    r"(?:\b(?:in|near|at|from|via|(?:deliver|ship|send|sent|moved?)\w{0,4}(?:\s(?:it|them))?\sto)|[\d,\ue000])\s$",
    re.IGNORECASE,
)
SELF = re.compile(r"\b(?:i\sam|i['’]?m|this\sis|it['’]?s|it\sis)\s+$", re.IGNORECASE)
HERE = re.compile(r"\s(?:here|speaking)\b", re.IGNORECASE)
# What introduces a person so surely that any word in capitals behind it is the name ...
RELATED = re.compile(
    r"(?:husband|wife|son|daughter|mother|father|mom|mum|dad|brother|sister|partner|boyfriend|girlfriend|fianc\w+|friend"
    r"|neighbou?r|boss|flatmate|roommate|roomie|aunt|uncle|cousin|niece|nephew|grand\w+|colleague"
    r"|(?:guy|man|woman|lady|girl|boy|person|someone|somebody|driver|courier|agent|employee)\s(?:called|named))\s+$"
)
# ... or that one which is no word of the language is.
DEALT = re.compile(
    r"\b(?:tell|told|ask|asked|called|named|contact|(?:spo|spea|talk|chat|deal)\w+\s(?:to|with)|agents?|rep\w*)\s+$"
)
SAYS = re.compile(r"\s(?:said|told|promised|assured|hung\sup|family)\b", re.IGNORECASE)
INITIALS = re.compile(r"(?<![\w.])(?:[^\W\d_]\.\s?){1,3}(?P<surname>[^\W\d_][\w'’-]{2,40})")
TITLE = re.compile(r"m(?:r|rs|ister)\b|ms\b|miss\b|dr\b|prof|doctor")
