"""The words that give an intent away, folded, in both languages. Each is a regular expression's alternative."""

from __future__ import annotations

HUMAN = (
    r"atendentes?|humano|ser humano|human(?: being)?|real person|operator|representative|pessoa (?:real|de verdade)",
    (
        r"(?:falar|conversar|me passa|transferir?) (?:com |para |pra )?(?:alguem|uma pessoa|(?:a |"
        r"o )?(?:secretaria|direcao|"
        r"coordenacao|coordenador[a]?|gerente|responsavel|atendente|professor[a]?|diretor[a]?)|"
        r"um atendente|voces por telefone)"
    ),
    (
        r"(?:speak|talk|connect me|transfer me|put me through)(?: directly)?(?: to| with)? (?:someone|"
        r"a person|somebody|an? agent|your agent|an? advisor|"
        r"the (?:\w+ )?(?:director|office|manager|team|desk|reception)|a human|customer service|support|"
        r"staff)|an? agent\b"
    ),
    r"secretaria",
)
SCHEDULE = (
    (
        r"(?:re)?agendar|(?:re)?agendad[oa]|(?:re)?agendamento|agendo|agenda(?: uma| um| pra| para)|"
        r"(?:re)?marcar|marcad[oa]|remarco|"
        r"reservar?|reservas?|desmarcar|cancelar a (?:visita|aula|reserva)|adiar"
    ),
    (
        r"(?:re)?book(?:ed|ing|ings)?|(?:re)?schedul(?:e|ed|ing)|appointments?|reserv(?:e|ed|ation|ations|"
        r"ing)|calendar|pencil (?:me|us) in"
    ),
    (
        r"visita(?:r)?(?! de)|conhecer (?:a escola|o espaco|voces|o centro|o lugar|a unidade)|"
        r"aula (?:experimental|teste|gratis)|"
        r"trial (?:class|lesson)|a tour|(?:come|stop|drop) (?:by|in)\b|meeting(?: room)?s?"
    ),
    (
        r"(?:get|find|need|want|save|hold|set up|have|got) (?:me |us )?(?:a |an |the |"
        r"any )?(?:\w+ )?(?:table|room|slot|session|availability)s?\b|"
        r"check(?:ing)?[- ]?in\b|(?:room|table|slot)s? (?:free|available|for)|availability|(?:un|"
        r"pre)-?reserved?|cancellation|"
        r"set (?:up )?a time|disponibilidade|(?:algum|tem) horario (?:na|no|para|pra|livre|disponivel)|encaixe"
    ),
)
# Questions about bookings as such: they want an answer, not a booking.
ABOUT_BOOKING = (
    r"(?<!my )(?<!our )(?<!have )reservations|reservation policy|how (?:long|busy|much time)|"
    r"wait(?:ing)? (?:to get|for|time)|"
    r"(?:aceitam|fazem|precisa(?:m)?(?: de)?|e preciso) (?:reserva|agendamento|marcar|agendar)"
)
TOPICS = {
    "price": r"precos?|valor(?:es)?|quanto (?:que )?(?:custa[m]?|e|fica|sai|ta|esta|da|voces cobram|vcs cobram|"
    r"cobram|seria|pago|vou pagar)|"
    r"mensalidades?|descontos?|promoc(?:ao|oes)|matricula|bolsas?|taxas?|pagamento|gratis|gratuit[oa]|"
    r"prices?|pricing|how much|costs?|fees?|charge[sd]?|discounts?|tuition|expensive|cheap(?:er)?|"
    r"rates?|for free|deals?",
    "dates_hours": r"que horas|horarios?|quando|funcionamento|abr(?:e|em)|aberto|fecha[m]?|que dias?|"
    r"(?:opening |business )?hours|what times?|when|what days?|closing|how (?:long|soon)|how many days|"
    r"time ?frame|wait(?:ing)?(?: times?)?|busy|estimated|crowded|packed",
    "address": r"onde|aonde|endereco|localiza(?:cao|do|da|m)|(?:como|para) (?:chego|chegar)|"
    r"where(?:'s)?|address|locations?|located|directions?|nearest|closest|nearby|how (?:do|can|"
    r"should) (?:i|we|you) get (?:to|there)|"
    r"(?:fastest|quickest|best) (?:way|route)|what countr(?:y|ies)|(?:take|get) me to",
    "contact": r"telefones?|whats(?:app)?|zap|e-?mail|contatos?|phone(?: numbers?)?|contact",
    "how_it_works": r"como (?:funciona[m]?|e que funciona|sao as aulas|faco|fazer|sao|e a aula)|metodologia|metodo|"
    r"how (?:does|do|can|would|could|should|old|often|many)|methods?|process|polic(?:y|ies)|"
    r"age (?:limit|restriction|requirement|minimum)s?|minimum age|(?:what|which) age|requirements?|allowed",
    "offer": r"cursos?|aulas? de|materias?|disciplinas?|reforco|oferece[m]?|cardapio|menu|opcoes|"
    r"(?:voces|vcs|vc|voce) (?:tem|dao|fazem|trabalham|atendem|aceitam|vende[m]?)|tem (?:o que|de que|"
    r"aula|curso|vaga|turma|alg\w+)|"
    r"(?:quais|qual) (?:sao )?(?:as |os |o |a )?(?:opcoes|turmas|sabores|bebidas|refris?|"
    r"refrigerantes?|cursos|aulas)|pra (?:beber|comer|tomar)|"
    r"courses?|class(?:es)?|subjects?|offers?|reviews?|ratings?|(?:well )?rated|options|choices|"
    r"(?:do|does|did) (?:you|they|the \w+) (?:guys )?(?:have|offer|teach|provide|support|accept|do|serve|sell)|"
    r"(?:what|which)(?: \w+){0,4} (?:supported|accepted|available|offered|support|accept|offer|provide)|"
    r"(?:is|are) (?:\w+ ){0,4}(?:supported|accepted|available|included)|is there|are there|"
    r"(?:what|anything)(?: else)? (?:can|could|do) (?:i|you) (?:ask|do|help|know)|(?:things|stuff|"
    r"topics|questions|kinds? of)(?: \w+){0,3} (?:you|ask|help)|"
    r"(?:your|are you) (?:capab\w+|able|areas|expertise|abilities|functions?)",
}
QUESTION = (
    r"^\W*(?:(?:oi|ola|bom dia|boa tarde|boa noite|e|mas|hi|hello|hey|ok|okay|please|so|and|also|but|"
    r"well|yes|no|sure|great|"
    r"thanks|perfect|cool|sim|nao|obrigad[oa]|um|just|siri|listen)\b\W*){0,3}"
    r"(?:what|which|where|when|who|whose|how|why|is|are|am|do|does|did|can i|can we|could i|will|"
    r"would it|should|may i|has|have you|"
    r"any|qual|quais|quanto|quanta|quantos|quantas|quando|onde|aonde|como|que|quem|por que|porque|"
    r"posso|da pra|tem|voces|vcs|existe[m]?)\b"
)
WANTS_TO_KNOW = (
    r"tell me|let me know|(?:want|like|need|got|have|wanna|love) (?:to )?(?:know|hear|learn|find out|"
    r"see|check)|find out|do you know|"
    r"wondering|curious|any idea|looking for info\w*|more (?:info\w*|about)|info\w* (?:on|about)|"
    r"explain|is it (?:possible|ok)|"
    r"look (?:up|into)|(?:read|show|get|give) me|check (?:if|whether|on|the)|question about|"
    r"(?:quero|queria|gostaria de|preciso|posso) saber|(?:pode|poderia) me (?:dizer|falar|explicar|informar|passar)|"
    r"me (?:fala|diz|explica|passa|conta|informa|manda)|informac(?:ao|oes)|duvidas?|saber (?:se|mais|"
    r"sobre|como|quanto|qual)"
)
# Asks for an action, in the form of a question.
REQUEST = (
    r"(?:can|could|would|will) (?:you|u) (?:(?:please|help me|just|also) )*(?!tell|explain|say|let|"
    r"show|describe|confirm|advise|"
    r"inform|clarify|do\b|help|be\b)[a-z]+|(?:pode|poderia|podem|consegue) (?!ser|me (?:dizer|falar|"
    r"explicar|informar))[a-z]+r\b"
)
PROVIDER = (
    r"you(?:r|rs|'re| guys)?|u\b|voces|vcs|the (?:school|centre|center|team|staff|card|account)|escola|"
    r"centro|unidade|turmas?|"
    r"can i|can we|may i|am i able|it possible|posso|da pra"
)
GREET_FIRST = (
    r"o+i+e?|ol(?:a|aa+)|opa+|alo+|bom dia|boa (?:tarde|noite)|e ?a[ie]+|eae+|eai+|salve|fala(?! sobre|"
    r" com| mais)|hi+|hello+|hey+|hiya|howdy|yo|"
    r"good (?:morning|afternoon|evening|day)|greetings|salutations|ahoy|heyo+|'?sup|wass?up|ciao|hola|"
    r"aloha|morning|evening"
)
GREET_ANY = (
    r"tudo (?:bem|bom|certo|joia)|como vai|como (?:voce|vc|voces|vcs) (?:ta|tao|esta|estao|vai|vao)|"
    r"beleza\?|quanto tempo|"
    r"prazer (?:em|te|lhe)|o melhor do dia|"
    r"how (?:are|r|have) (?:you|u|things|we|ya)(?! (?:able|going to))|how (?:are|is) (?:the ai|"
    r"everything|life|things|your day|it going|it)\b(?: doing| going)?|"
    r"how(?:'s| is|s) (?:it going|life|everything|your|you|things|the ai|the day|ai)|how (?:do you do|"
    r"you doing|goes it|you been)|"
    r"(?:are you|you) (?:doing )?(?:well|ok|okay|good|alright|fine)\b|what(?:'s| is|s) (?:up|new|"
    r"going on|happening|good)|"
    r"how(?:'s| is| are|'re)? ?(?:the ai|you|your day|ya|u|it|things|everything|life)(?:'re| are|"
    r" is)? (?:doing|going|feeling|been|hanging|treating)|"
    r"is everything (?:ok|okay|alright|going)|what are you (?:feeling|up to)|"
    r"nice to (?:meet|see|talk)|pleased to meet|good to see|how.{0,12}(?:you|ai) (?:doing|feeling|been)"
)
AFFIRM = (
    r"sim+|isso|claro|pode(?: ser| sim| confirmar)?|confirm(?:o|ado|ada|ar)|ok(?:ay|ey)?|perfeito|"
    r"combinado|certo|com certeza|beleza|"
    r"blz|fechado|quero sim|otimo|ss|uhum|aham|ta (?:bom|bem|certo|otimo)|esta (?:bom|bem|certo|otimo)|"
    r"por mim|serve|show|maravilha|"
    r"yes|yeah+|yea|ya|yep|yup|sure|correct|exactly|absolutely|definitely|of course|please do|right|"
    r"great|perfect|awesome|cool|"
    r"fine|alright|indeed|good|(?:yes )?that(?:'s| is| will be| would be| sounds| works| will work|"
    r"'ll)(?: all)?(?: very| just)?(?: right| fine| correct| good| great| perfect| ok| okay| work)?|"
    r"sounds (?:good|great|fine|perfect)|confirm(?:ed)?|works for me|go ahead|i (?:agree|confirm|do)|"
    r"lets do (?:it|that)|let's do (?:it|that)"
)
DENY = (
    r"n(?:ao|aum|em)|negativo|nunca|nada disso|no+|nope|nah|not (?:really|that)|don't|do not|prefiro (?:nao|outro)|"
    r"cancel(?:a|ar)?|wrong|errado|that(?:'s| is)(?: not| n't| wrong)|isn't"
)
CLOSING = (
    r"obrigad[oa]s?|brigad[oa]|valeu|vlw|agradeco|grat[oa]|tchau|ate (?:mais|logo|la|amanha|breve)|falou|"
    r"thank(?:s| you|ful)?|thx|ty|many thank|bye+|bbye|goodbye|good bye|adios|see (?:you|ya)|take care|"
    r"cheers|appreciate|"
    r"that(?:'s| is| was|s|'ll| will)(?: be)? all|all (?:i|for) (?:need|now)|nothing else|so long|"
    r"later|talk (?:to you )?later"
)
NAME_CHANGE = (
    r"(?:change|update|switch|correct|set) (?:my|your|the)? ?(?:user)?name|calling me|refer to me|"
    r"address me|(?:my|new) (?:user)?name (?:is|to)|trocar (?:meu )?nome"
)
